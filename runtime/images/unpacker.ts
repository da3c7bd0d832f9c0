import type { Readable } from "node:stream";

export type UnpackOrder = {
  /** An existing, empty directory. */
  readonly destination: string;
  /** Added to every owner in the archive. */
  readonly idBase: number;
  /** Bytes of file content. */
  readonly bytesMax: number;
  readonly entriesMax: number;
  readonly abort: AbortSignal;
};

export type UnpackOutcome = {
  readonly contentBytes: number;
  readonly entries: number;
  readonly tarBytes: number;
  /** Relative to the layer; directories that hold entries but have none of their own (`.`: the layer's root). */
  readonly impliedDirectories: readonly string[];
};

export type DressedDirectory = { readonly directory: string; readonly model: string };

/** What the image store needs of the helper: it writes and removes trees whose content it does not trust. */
export type Unpacker = {
  /**
   * Unpacks an uncompressed tar stream. Reads the stream to its end, also past the archive's end marker. When it
   * resolves the tree is complete and on stable storage. Rejects when the stream throws, and with an error whose
   * `code` is the errno's name (`ENOSPC`) when the kernel refused. What it leaves after a failure, the caller removes.
   */
  unpack(order: UnpackOrder, tar: AsyncIterable<Uint8Array> | Readable): Promise<UnpackOutcome>;
  /** Each directory gets owner, mode, times and extended attributes of its model. No link is followed at their ends. */
  dressLike(pairs: readonly DressedDirectory[]): Promise<void>;
  /** Removes whatever the path names, following no symbolic link; what is gone already is no error. */
  removeTree(path: string): Promise<void>;
};
