import type { Readable } from "node:stream";
import type { Digest } from "./digest.ts";

/** An archive that is sent to the helper, and where what is in it goes. */
export type ArchiveOrder = {
  /** An existing, empty directory. */
  readonly destination: string;
  /** Bytes of file content. */
  readonly bytesMax: number;
  readonly entriesMax: number;
  /** What is sent: the archive itself, or gzip or zstd of it. */
  readonly encoding: "none" | "gzip" | "zstd";
  /** Where it is encoded: beyond so many decoded bytes there must be no more than `expansionRatioMax` for each one sent. */
  readonly expansionCheckedFromBytes: number;
  readonly expansionRatioMax: number;
  readonly abort: AbortSignal;
};

export type UnpackOrder = ArchiveOrder & {
  /** Added to every owner in the archive. */
  readonly idBase: number;
  /** An archive without its end and its last padding is whole: the caller knows its digest. */
  readonly endMayLack: boolean;
  /** A new file for what is sent, as it is sent; on stable storage when the unpacking resolves. The caller's afterwards. */
  readonly keepAs?: string;
};

export type UnpackOutcome = {
  readonly contentBytes: number;
  readonly entries: number;
  readonly tarBytes: number;
  /** Of the plain archive: the DiffID. */
  readonly archiveDigest: Digest;
  readonly sentBytes: number;
  readonly sentDigest: Digest;
  /** Relative to the layer; directories that hold entries but have none of their own (`.`: the layer's root). */
  readonly impliedDirectories: readonly string[];
};

/** An entry of an archive, with its path and its target as the archive has them: nothing of them was judged. */
export type TakenEntry =
  | {
      readonly kind: "file";
      readonly path: string;
      /** Its name in the destination. */
      readonly name: string;
      readonly digest: Digest;
      readonly size: number;
    }
  | { readonly kind: "hardLink" | "symlink"; readonly path: string; readonly target: string };

export type DressedDirectory = { readonly directory: string; readonly model: string };

/** What the image store needs of the helper: it writes and removes trees whose content it does not trust. */
export type Unpacker = {
  /**
   * Unpacks a tar stream. Reads the stream to its end, also past the archive's end marker. When it
   * resolves the tree is complete and on stable storage. Rejects when the stream throws, and with an error whose
   * `code` is the errno's name (`ENOSPC`) when the kernel refused. What it leaves after a failure, the caller removes.
   */
  unpack(order: UnpackOrder, tar: AsyncIterable<Uint8Array> | Readable): Promise<UnpackOutcome>;
  /**
   * Takes the files out of a tar stream into the destination, under names of the helper's own. When it resolves they are
   * complete, hashed and on stable storage. Rejects as `unpack` does, also for whatever is no file, link or directory.
   */
  takeFiles(
    order: ArchiveOrder,
    tar: AsyncIterable<Uint8Array> | Readable,
  ): Promise<readonly TakenEntry[]>;
  /** Each directory gets owner, mode, times and extended attributes of its model. No link is followed at their ends. */
  dressLike(pairs: readonly DressedDirectory[]): Promise<void>;
  /** Removes whatever the path names, following no symbolic link; what is gone already is no error. */
  removeTree(path: string): Promise<void>;
};
