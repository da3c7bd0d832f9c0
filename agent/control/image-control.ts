import type { HistoryEntry, ImageRemoval, MadeImage } from "../../runtime/images/image-store.ts";
import type { CommitOptions } from "../../runtime/runtime.ts";
import type { RegistryControl } from "./registry-control.ts";

export type ImageReport = {
  readonly digest: string;
  readonly references: readonly string[];
  readonly sizeBytes: number;
  readonly pulledAt: string;
  readonly inUse: boolean;
};

export type PruneReport = {
  readonly images: readonly Omit<ImageRemoval, "isRemoved">[];
  readonly bytes: number;
  readonly dryRun: boolean;
};

/** What can be asked of a running agent about images. An image is named by reference, digest or a prefix of that. */
export type ImageControl = RegistryControl & {
  images(): Promise<readonly ImageReport[]>;
  pull(
    reference: string,
    options: {
      readonly abort: AbortSignal;
      readonly onProgress: (progress: {
        readonly reference: string;
        readonly layer?: string;
        readonly bytesDone: number;
        readonly bytesTotal: number;
        readonly phase: string;
      }) => void;
    },
  ): Promise<ImageReport>;
  /** `path` is on the agent's host. */
  load(
    path: string,
    options: { readonly reference?: string; readonly abort: AbortSignal },
  ): Promise<readonly ImageReport[]>;
  /** `path` is on the agent's host: the tar archive of a root file system. */
  importImage(path: string, options: MadeImage): Promise<ImageReport>;
  commitContainer(name: string, options: CommitOptions): Promise<ImageReport>;
  /** The root of a container as a tar archive. */
  exportContainer(
    name: string,
    options: { readonly pause: boolean; readonly abort: AbortSignal },
  ): AsyncIterable<Uint8Array>;
  /** One archive of all of them, each under the name that it is asked for by. */
  saveImages(
    names: readonly string[],
    options: { readonly format: "oci-archive" | "docker-archive"; readonly abort: AbortSignal },
  ): AsyncIterable<Uint8Array>;
  /** An OCI layout directory at `path`, on the agent's host. */
  saveLayout(
    names: readonly string[],
    options: { readonly path: string; readonly abort: AbortSignal },
  ): Promise<void>;
  tagImage(name: string, reference: string): Promise<ImageReport>;
  /** Takes a name from an image, and the image with its last name. Refused while anything needs it. */
  removeImage(name: string): Promise<ImageRemoval>;
  /** Removes what nothing needs: images without a name, or with `all` named ones too. */
  pruneImages(options: {
    readonly all: boolean;
    /** Only what came here and was last used longer ago than this. */
    readonly olderThanMs?: number;
    readonly dryRun: boolean;
  }): Promise<PruneReport>;
  /** Oldest first. */
  imageHistory(name: string): Promise<readonly HistoryEntry[]>;
};
