/** The face of the image store. Implemented by `openImageStore` in this folder. */

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
  /** Unpacked layers, lowest first: directories that overlay takes as they are. */
  readonly layerDirs: readonly string[];
  readonly layerDigests: readonly string[];
  /** Sum of the compressed blobs. */
  readonly sizeBytes: number;
  readonly createdAt?: string;
  readonly pulledAtMs: number;
};

export type PullProgress = {
  readonly reference: string;
  readonly layer?: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly phase: "resolve" | "download" | "unpack" | "done";
};

export type ImageStore = {
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
  tag(digestOrReference: string, reference: string): void;
  /** Removes the name; content that no other image needs goes with the last name. `inUse`: digests of containers. */
  remove(reference: string, inUse: ReadonlySet<string>): Promise<void>;
  /** Removes images that are not in `keep` (digests) and every blob and layer that nothing refers to. */
  collectGarbage(
    keep: ReadonlySet<string>,
  ): Promise<{ readonly images: number; readonly bytes: number }>;
};
