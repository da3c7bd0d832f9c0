/** What one commit wants this host to run: the output of this folder, and all that the agent knows of a manifest. */
import type { ServiceBounds, ServiceOptions, ServiceResources } from "./service-options.ts";
import type { FileTree } from "./trees/file-tree.ts";

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
      /** Only what lies here below the volume's root. */
      readonly subpath?: string;
    }
  | {
      readonly type: "bind";
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly createHostPath: boolean;
      readonly propagation?: MountPropagation;
      readonly recursive?: boolean;
    }
  | {
      readonly type: "tmpfs";
      readonly target: string;
      readonly sizeBytes?: number;
      readonly mode?: number;
      readonly uid?: number;
      readonly gid?: number;
      readonly exec?: boolean;
      readonly readOnly: boolean;
    }
  | {
      /** Files of the revision, read-only. */
      readonly type: "tree";
      /** Key of `DesiredState.trees`. */
      readonly tree: string;
      readonly target: string;
    }
  | {
      /** A file in memory with the plain content of a file of the revision. */
      readonly type: "secret";
      /** Key of `DesiredState.trees`: the file as git has it. */
      readonly tree: string;
      readonly format: SecretFormat;
      /** In the repository, for messages. */
      readonly path: string;
      readonly target: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      /** Stands for the plain content; the host fills it in, with a key of its own. */
      readonly digest?: string;
    };

/** How a secret's file is encrypted: not at all, by age, or by SOPS in one of its formats. */
export type SecretFormat =
  | "plain"
  | "age"
  | "sops-yaml"
  | "sops-json"
  | "sops-dotenv"
  | "sops-binary";

export type MountPropagation = "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared";

export type RestartPolicy = {
  readonly condition: "no" | "on-failure" | "always" | "unless-stopped";
  /** Undefined: no limit. */
  readonly attemptsMax?: number;
  /** Between an exit and the restart. Undefined: short at first, longer with every exit. */
  readonly delayMs?: number;
  /** Whoever ran this long has started well: attempts count from the beginning. */
  readonly windowMs?: number;
};

/** How new containers take the place of old ones (`deploy.update_config`, `deploy.rollback_config`). */
export type UpdatePolicy = {
  /** Containers that are replaced at the same time; 0: all of them. */
  readonly parallelism: number;
  /** Between two groups. */
  readonly delayMs: number;
  /** After a failure. `rollback` never stands in the policy of a rollback. */
  readonly failureAction: "pause" | "continue" | "rollback";
  /** How long a new container is watched for failures. */
  readonly monitorMs: number;
  /** 0 to 1: the part of the containers that may fail. */
  readonly failureRatioMax: number;
  readonly order: "stop-first" | "start-first";
};

/** What `deploy` says beyond replicas, resources and restarts; only what is written is there. */
export type ServiceDeploy = {
  /** Labels of the service, which its containers do not carry. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly update?: UpdatePolicy;
  readonly rollback?: UpdatePolicy;
  /** As written, such as `node.labels.disk==ssd`; they hold on this host. */
  readonly constraints?: readonly string[];
};

/** Bounds of a container's log on disk; undefined fields take the runtime's. */
export type LogBounds = { readonly fileBytesMax?: number; readonly filesMax?: number };

/** A question to a port, asked on loopback of the container's network. */
export type NetworkProbe =
  | { readonly kind: "tcp"; readonly port: number }
  | {
      readonly kind: "http";
      readonly port: number;
      /** With its query. */
      readonly path: string;
      /** Of the Host header; undefined: `localhost`, with the port. */
      readonly host?: string;
      /** Inclusive. */
      readonly statusMin: number;
      readonly statusMax: number;
    };

export type Healthcheck = {
  /** What is asked in place of a program of the image; `test` is empty then. */
  readonly probe?: NetworkProbe;
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

/** How a service is attached to a network. */
export type NetworkEndpoint = {
  readonly ipv4Address?: string;
  readonly macAddress?: string;
  /** The highest one is the way out; then the highest `priority`; then the first by name. */
  readonly gatewayPriority?: number;
  readonly priority?: number;
};

/** Addresses of a network; undefined fields are chosen on the host. */
export type NetworkAddresses = {
  readonly subnet?: string;
  readonly gateway?: string;
  readonly range?: string;
  /** Given only to who asks for one of them. */
  readonly reserved?: readonly string[];
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
  /** network key -> aliases */
  readonly networks: Readonly<Record<string, readonly string[]>>;
  /** What else a service says of its networks, by their keys; only what is written is there. */
  readonly endpoints?: Readonly<Record<string, NetworkEndpoint>>;
  readonly restart: RestartPolicy;
  readonly resources: ServiceResources;
  readonly dependsOn: Readonly<Record<string, Dependency>>;
  readonly stopSignal?: string;
  readonly stopGraceMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly readOnlyRoot: boolean;
  readonly healthcheck?: Healthcheck;
  /** Undefined: an unhealthy container is left as it is. */
  readonly onUnhealthy?: "restart";
  /** Undefined: a change of what it mounts from the commit, or of a secret, makes its containers anew. */
  readonly onConfigChange?: { readonly signal: string };
  /** What its containers may use after a change, lest the change is taken back. */
  readonly bounds?: ServiceBounds;
  /** When its replicas change, one runs alone for so long before the others do. */
  readonly canaryMs?: number;
  /** The registry is asked this often whether the image's tag moved. Undefined: a tag is resolved once. */
  readonly watchTagMs?: number;
  readonly init: boolean;
  readonly tty: boolean;
  readonly stdinOpen: boolean;
  readonly options?: ServiceOptions;
  /** Instead of `APP-SERVICE-N`; one replica at most. */
  readonly containerName?: string;
  /** Such as `linux/amd64`; undefined: the host's. */
  readonly platform?: string;
  /** Undefined: a missing image is pulled. `always`: the tag is asked for anew whenever the service changes. */
  readonly pullPolicy?: "always" | "never" | { readonly everyMs: number };
  readonly log?: LogBounds;
  readonly deploy?: ServiceDeploy;
};

export type App = {
  /** Compose project name: unique on the host. */
  readonly name: string;
  /** Directory in the repository, `.` for its root. */
  readonly path: string;
  /** Names of apps of the same revision that are rolled out before this one. */
  readonly after?: readonly string[];
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
        /** True: made and removed by others, and must be there. */
        readonly external?: boolean;
        readonly addresses?: NetworkAddresses;
      }
    >
  >;
};

/** Forty (or sixty-four) lower-case hex digits. */
export type CommitSha = string & { readonly __brand: "CommitSha" };

export type DesiredState = {
  readonly revision: CommitSha;
  readonly apps: readonly App[];
  /** Digest (64 hex digits) -> what the apps mount of the revision's files. */
  readonly trees?: Readonly<Record<string, FileTree>>;
  /** Whether one app's failure undoes the whole revision's changes or its own alone. Undefined: `app`. */
  readonly atomic?: "app" | "revision";
};

/** A mistake in a manifest, or a wish that this version does not grant. Line and column count from 1. */
export type Diagnostic = {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
};

/** Something of a service that the host does not grant; `path` leads there from the service. */
export type Refusal = {
  readonly path: readonly (string | number)[];
  readonly message: string;
};

/** Says what of a checked service the host refuses. */
export type Admit = (service: Service) => readonly Refusal[];

/** Reads blobs of one commit (or files of a working tree). Paths are relative, with `/`, without `..`. */
export type FileReader = {
  /** Every file path, sorted. */
  list(): Promise<readonly string[]>;
  /** Undefined when there is no such file. Rejects what is larger than `bytesMax` with an error whose `code` is `EFBIG`. */
  read(path: string, bytesMax: number): Promise<Uint8Array | undefined>;
  /** Whether one of the files may be executed. */
  isExecutable(path: string): Promise<boolean>;
  /** Paths of symbolic links and submodules, which are no files here. */
  others(): Promise<readonly string[]>;
  /**
   * A name that no other content has in any revision, so that what is known of a file need not be read; undefined when there is
   * no such file. Readers of what has no such names do without.
   */
  contentName?(path: string): string | undefined;
};

export type CompileResult =
  | { readonly ok: true; readonly desired: DesiredState; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly errors: readonly Diagnostic[] };
