/** What one commit wants this host to run: the output of this folder, and all that the agent knows of a manifest. */

export type PortProtocol = "tcp" | "udp";

export type PublishedPort = {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: PortProtocol;
};

export type ServiceMount =
  | {
      readonly type: "volume";
      /** Key of `App.volumes`; an anonymous volume has a key made from its service and target. */
      readonly volume: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly copy: boolean;
    }
  | {
      readonly type: "bind";
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly createHostPath: boolean;
    }
  | {
      readonly type: "tmpfs";
      readonly target: string;
      readonly sizeBytes?: number;
      readonly mode?: number;
      readonly readOnly: boolean;
    };

export type RestartPolicy = {
  readonly condition: "no" | "on-failure" | "always" | "unless-stopped";
  /** Undefined: no limit. */
  readonly attemptsMax?: number;
};

export type Healthcheck = {
  /** `["CMD", …]` or `["CMD-SHELL", text]`; `["NONE"]` switches the image's check off, `[]` keeps the image's test. */
  readonly test: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
};

export type Dependency = {
  readonly condition: "service_started" | "service_healthy" | "service_completed_successfully";
  readonly required: boolean;
  /** Restart this service after an explicit change of the dependency. */
  readonly restart: boolean;
};

export type ServiceResources = {
  readonly memoryBytesMax?: number;
  readonly memoryReservationBytes?: number;
  readonly cpus?: number;
  readonly pidsMax?: number;
};

export type Service = {
  readonly name: string;
  readonly image: string;
  readonly replicas: number;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workingDir?: string;
  readonly hostname?: string;
  readonly ports: readonly PublishedPort[];
  readonly mounts: readonly ServiceMount[];
  /** network key -> aliases; this version knows `default` only. */
  readonly networks: Readonly<Record<string, readonly string[]>>;
  readonly restart: RestartPolicy;
  readonly resources: ServiceResources;
  readonly dependsOn: Readonly<Record<string, Dependency>>;
  readonly stopSignal?: string;
  readonly stopGraceMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly readOnlyRoot: boolean;
  readonly healthcheck?: Healthcheck;
  readonly init: boolean;
  readonly tty: boolean;
  readonly stdinOpen: boolean;
};

export type App = {
  /** Compose project name: unique on the host. */
  readonly name: string;
  /** Directory in the repository, `.` for its root. */
  readonly path: string;
  readonly services: readonly Service[];
  /** Key in the manifest -> name on the host (`app_data`). */
  readonly volumes: Readonly<
    Record<
      string,
      {
        readonly name: string;
        readonly labels: Readonly<Record<string, string>>;
        /** True: made and removed by others, and must be there. */
        readonly external?: boolean;
      }
    >
  >;
  readonly networks: Readonly<
    Record<
      string,
      {
        readonly name: string;
        readonly internal: boolean;
        readonly labels: Readonly<Record<string, string>>;
      }
    >
  >;
};

/** Forty (or sixty-four) lower-case hex digits. */
export type CommitSha = string & { readonly __brand: "CommitSha" };

export type DesiredState = { readonly revision: CommitSha; readonly apps: readonly App[] };

/** A mistake in a manifest, or a wish that this version does not grant. Line and column count from 1. */
export type Diagnostic = {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
};

/** Reads blobs of one commit (or files of a working tree). Paths are relative, with `/`, without `..`. */
export type FileReader = {
  /** Every file path, sorted. */
  list(): Promise<readonly string[]>;
  /** Undefined when there is no such file. Rejects what is larger than `bytesMax` with an error whose `code` is `EFBIG`. */
  read(path: string, bytesMax: number): Promise<Uint8Array | undefined>;
};

export type CompileResult =
  | { readonly ok: true; readonly desired: DesiredState; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly errors: readonly Diagnostic[] };
