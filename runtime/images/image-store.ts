/** The face of the image store. Implemented by `openImageStore` in this folder. */

import type { PushProgress } from "../registry/push-content.ts";
import type { Registries } from "../registry/registries.ts";

/** The part of an OCI image configuration that a runtime acts on. Names follow the OCI image-spec. */
export type ImageConfig = {
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly stopSignal: string;
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly healthcheck?: ImageHealthcheck;
};

/** Docker's `Healthcheck` of an image; what is missing takes the runtime's default. */
export type ImageHealthcheck = {
  /** `["CMD", …]`, `["CMD-SHELL", text]` or `["NONE"]`. */
  readonly test: readonly string[];
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  readonly startPeriodMs?: number;
  readonly startIntervalMs?: number;
  readonly retries?: number;
};

export type Image = {
  /** Digest of the manifest (`sha256:…`), over its raw bytes. */
  readonly digest: string;
  /** Names under which it was pulled or loaded, in full form (`docker.io/library/nginx:1.27`). */
  readonly references: readonly string[];
  readonly config: ImageConfig;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  /** Where it came from; what is `local` (loaded, imported, committed) cannot be had again. Absent: not known. */
  readonly origin?: "registry" | "local";
  /** Unpacked layers, lowest first: directories that overlay takes as they are. */
  readonly layerDirs: readonly string[];
  readonly layerDigests: readonly string[];
  /** Sum of the compressed blobs. */
  readonly sizeBytes: number;
  readonly createdAt?: string;
  readonly pulledAtMs: number;
};

export type ImageLayer = {
  readonly digest: string;
  /** Digest of the plain tar. */
  readonly diffId: string;
  readonly chainId: string;
  readonly mediaType: string;
  /** As it travelled. */
  readonly sizeBytes: number;
  /** Content of its files. */
  readonly unpackedBytes: number;
  /** Digests of the other images here that are built on the same layer. */
  readonly sharedWith: readonly string[];
};

/** One line of what built the image (OCI image-spec, config.md, `history`). */
export type HistoryEntry = {
  readonly createdAt?: string;
  readonly createdBy: string;
  readonly author?: string;
  readonly comment?: string;
  /** The layer that it made; undefined when it changed the configuration only. */
  readonly layer?: { readonly digest: string; readonly sizeBytes: number };
};

export type ImageDetails = Image & {
  readonly configDigest: string;
  /** Indexes that it was chosen from. */
  readonly indexDigests: readonly string[];
  readonly author?: string;
  readonly layers: readonly ImageLayer[];
  /** Oldest first. */
  readonly history: readonly HistoryEntry[];
  /** On this disk, blobs and unpacked layers: what removing it would free, and what others need too. */
  readonly ownBytes: number;
  readonly sharedBytes: number;
  readonly usedAtMs: number;
};

/** What became of a name, or of a whole image. */
export type ImageRemoval = {
  readonly digest: string;
  /** Names that it lost. */
  readonly references: readonly string[];
  /** False: it has other names and stays. */
  readonly isRemoved: boolean;
  /** What that freed: blobs, and the content of unpacked layers. */
  readonly bytes: number;
};

export type CollectOptions = {
  /** Only images without a name. */
  readonly dangling?: boolean;
  /** Only what came here, and was last used, before this. */
  readonly unusedSinceMs?: number;
  /** Only what a registry can give again. */
  readonly fromRegistries?: boolean;
  /** Stops once this many bytes are freed; what was used last goes last. */
  readonly bytesWanted?: number;
  /** Only says what would go. */
  readonly dryRun?: boolean;
};

/** What is said of an image that is made here. */
export type MadeImage = {
  readonly reference?: string;
  /** Instructions of a Dockerfile that change the configuration, such as `CMD ["web"]`. */
  readonly changes: readonly string[];
  readonly message?: string;
  readonly abort: AbortSignal;
};

export type PullProgress = {
  readonly reference: string;
  readonly layer?: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** `wait`: the registry asked for a pause, see `waiting`. */
  readonly phase: "resolve" | "wait" | "download" | "unpack" | "done";
  readonly waiting?: { readonly host: string; readonly untilMs: number };
};

export type PushedImage = {
  /** Of the manifest or the index that was pushed. */
  readonly digest: string;
  /** What else the image's index lists and is not here, as `linux/arm64`: it was not pushed. */
  readonly missingPlatforms: readonly string[];
};

/** What is counted of images as they come. */
export type ImageMeters = {
  /** Bytes of layers that came over the network. */
  received(bytes: number): void;
  /** A layer that an image needs: `hit` when it lay here unpacked. */
  layer(result: "hit" | "unpacked"): void;
  /** Time from the first byte of a layer until it lay here unpacked and durable. */
  unpacked(durationMs: number): void;
};

export type ImageStore = {
  readonly registries: Registries;
  /** The stored image for a reference or digest, or undefined. Reads no network. */
  find(reference: string): Image | undefined;
  list(): readonly Image[];
  /** Asks the registry which digest a reference names now. */
  resolve(reference: string, abort: AbortSignal): Promise<string>;
  /**
   * Pulls and unpacks; idempotent. Errors name the registry, the reference and what would fix it. Two calls for
   * the same reference share one pull.
   */
  pull(
    reference: string,
    options: {
      readonly abort: AbortSignal;
      readonly onProgress?: (progress: PullProgress) => void;
    },
  ): Promise<Image>;
  /** Loads an OCI layout directory, an oci-archive or a docker-archive (tar, gzip or zstd compressed). */
  load(
    path: string,
    options: { readonly reference?: string; readonly abort: AbortSignal },
  ): Promise<readonly Image[]>;
  /**
   * An image of one layer out of the tar archive of a root file system (plain, gzip or zstd). `changes` are instructions
   * as in a Dockerfile.
   */
  importRoot(path: string, options: MadeImage): Promise<Image>;
  /** An image out of another and what a container changed in it, as the tar archive of a layer. */
  commit(
    base: string,
    options: MadeImage & {
      readonly layer: AsyncIterable<Buffer>;
      /** Fields of the configuration that differ from the base's, before the changes. */
      readonly config: Readonly<Record<string, unknown>>;
      readonly createdBy: string;
      readonly author?: string;
    },
  ): Promise<Image>;
  /**
   * An archive of all of these images, each with the name that it is asked for by. Blobs go out as they came in: digests
   * stay. Throws at the first step when one is not here.
   */
  save(
    names: readonly string[],
    options: { readonly format: "oci-archive" | "docker-archive"; readonly abort: AbortSignal },
  ): AsyncIterable<Uint8Array>;
  /** The same as an OCI layout directory, which must be empty or not there. */
  saveLayout(
    names: readonly string[],
    options: { readonly path: string; readonly abort: AbortSignal },
  ): Promise<void>;
  /**
   * Sends an image to the registry that `target` names, with the digest that it has here: the whole index that it was chosen
   * from where all of that is here, else the image alone.
   */
  push(
    digestOrReference: string,
    target: string,
    options: {
      readonly abort: AbortSignal;
      readonly onProgress?: (progress: PushProgress) => void;
    },
  ): Promise<PushedImage>;
  /** Another name for an image; one that another image had moves here. */
  tag(digestOrReference: string, reference: string): void;
  /** All that is known of an image, from its own documents; undefined when it is not here. */
  describe(digestOrReference: string): Promise<ImageDetails | undefined>;
  /** Says that these digests are in use now; digests that are not here are passed over. */
  touch(digests: Iterable<string>): void;
  /** Bytes of the file system that the store lies on. */
  disk(): Promise<{ readonly totalBytes: number; readonly freeBytes: number }>;
  /** Removes the name; content that no other image needs goes with the last name. `inUse`: digests of containers. */
  remove(reference: string, inUse: ReadonlySet<string>): Promise<ImageRemoval>;
  /**
   * Removes images that `needed` (digests of manifests or indexes) does not name, and every blob and layer that nothing
   * refers to. What a pull or load under way counts on stays.
   */
  collectGarbage(
    needed: () => ReadonlySet<string>,
    options?: CollectOptions,
  ): Promise<{ readonly images: readonly ImageRemoval[]; readonly bytes: number }>;
};
