/** The face of the runtime: what an agent may ask of it. Implemented by `openRuntime` in `open-runtime.ts`. */
import type { CgroupHost } from "./cgroups/cgroup-host.ts";
import type { Usage } from "./cgroups/cgroup-usage.ts";
import type { ContainerSpec, ExecSpec, Mount, PortBinding } from "./container-spec.ts";
import type { HostFeature } from "./host-features.ts";
import type { Image, ImageStore, MadeImage } from "./images/image-store.ts";
import type { NetworkSpec, NetworkStatus } from "./network-spec.ts";
import type { CopySpec } from "./program/copy-spec.ts";
import type { DialSpec } from "./program/dial-spec.ts";

export type { NetworkIpam, NetworkSpec, NetworkStatus } from "./network-spec.ts";

export type Log = {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
};

export type ExitRecord = {
  /** Undefined: the status was lost (never reported as 0). */
  readonly code?: number;
  /** Number of the signal that ended it; undefined when it exited by itself. */
  readonly signal?: number;
  readonly oomKilled: boolean;
  readonly finishedAtMs: number;
};

export type ContainerState = "created" | "running" | "paused" | "exited" | "dead";

export type Health = "none" | "starting" | "healthy" | "unhealthy";

/** A container as the kernel and the inventory show it now. */
export type ContainerStatus = {
  readonly spec: ContainerSpec;
  readonly state: ContainerState;
  readonly pid?: number;
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly exit?: ExitRecord;
  /** network name -> IPv4 address. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Ports that the nft table sends to this container at this moment. */
  readonly publishedPorts: readonly PortBinding[];
  /** Its files are being replaced, or could not be: it may see those of an earlier spec until it starts again. */
  readonly reload?: "pending" | "failed";
  /** When its files were last replaced while it ran. */
  readonly reloadedAtMs?: number;
  /** Others do not find it: another container of its name is there, or it was handed over from. */
  readonly isHeldBack?: boolean;
  /** OOM kills that the cgroup counted before this run: it may serve several. */
  readonly oomKillsBefore?: number;
  /** cgroup path below each hierarchy's mount, e.g. `/berth/3f…`. */
  readonly cgroupPath: string;
  /** Host side of the veth pair per network; empty without a network. */
  readonly hostInterfaces: Readonly<Record<string, string>>;
  readonly logPath: string;
};

export type ObserveOptions = {
  /**
   * `known`: what of containers was found before is reported, and not looked at again. `due`, the default: it is looked
   * at, what is inside of containers twice a minute. `everything`: that too.
   */
  readonly drift?: "known" | "due" | "everything";
};

/** Something that differs from what the inventory says, seen by `observe`. */
export type KernelDrift = {
  readonly kind:
    | "port-missing"
    | "port-foreign"
    | "table-missing"
    | "bridge-missing"
    | "interface-changed"
    | "limit-changed"
    | "file-changed"
    /** `repair` cannot put these right: the container has to be started anew. */
    | "mount-missing"
    | "mount-changed"
    | "address-missing"
    | "address-changed";
  /** Id of the container that it concerns; undefined: several, or none. */
  readonly container?: string;
  readonly target: string;
  readonly field: string;
  readonly from: string;
  readonly to: string;
};

export type VolumeSpec = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
};
export type VolumeStatus = VolumeSpec & {
  readonly path: string;
  readonly createdAtMs: number;
  /** Ids of the containers that mount it. */
  readonly usedBy: readonly string[];
};

export type Observation = {
  readonly containers: readonly ContainerStatus[];
  readonly networks: readonly NetworkStatus[];
  readonly volumes: readonly VolumeStatus[];
  readonly drift: readonly KernelDrift[];
};

/** Of a container's file system: added to, changed of or deleted from its image. */
export type FileChange = { readonly kind: "A" | "C" | "D"; readonly path: string };

export type ExitListener = (id: string, exit: ExitRecord) => void;

/** A process started inside a container, or the first process of it when attached. */
export type ProcessSession = {
  readonly pid: number;
  readonly stdin: NodeJS.WritableStream;
  readonly stdout: NodeJS.ReadableStream;
  readonly stderr: NodeJS.ReadableStream;
  /** Resolves when the process ended. */
  readonly exit: Promise<ExitRecord>;
  resize(size: { readonly rows: number; readonly columns: number }): void;
  signal(signal: number): void;
  /** Ends the session; a process that still runs gets SIGKILL. */
  close(): void;
};

/** What whoever runs a container in front of them gives it. */
export type OwnerOptions = {
  /** Its standard input is theirs, and ends with the session. */
  readonly stdin: boolean;
  /** Of the terminal that it starts with, in characters. */
  readonly terminal?: { readonly rows: number; readonly columns: number };
};

/** Other files for a container that runs. */
export type Reload = {
  /** In the place of the mounts with the same targets; when one of them is a secret, all its secrets. */
  readonly mounts: readonly Extract<Mount, { readonly type: "tree" | "secret" }>[];
  /** All that it has from now on. */
  readonly labels: Readonly<Record<string, string>>;
  /** Sent to its first process once it sees them. */
  readonly signal: string;
};

/** Ids of two containers that stand for the same replica. */
export type HandOver = { readonly from?: string; readonly to: string };

export type StopOptions = {
  /** Defaults to the spec's, the image's, then SIGTERM. */
  readonly signal?: string;
  readonly graceMs: number;
  readonly abort: AbortSignal;
};

export type CommitOptions = MadeImage & {
  /** Its processes are held while its root is read. */
  readonly pause: boolean;
  readonly author?: string;
};

export type LogLine = {
  readonly stream: "stdout" | "stderr";
  readonly time: string;
  readonly text: string;
};

export type Runtime = {
  readonly images: ImageStore;

  /** The cgroup hierarchies that containers are in. */
  readonly cgroups: CgroupHost;

  /** What this host can do and cannot, with the fix for each; asked before anything is started. */
  features(): Promise<readonly HostFeature[]>;

  /** The kernel's truth. Spawns nothing; cost grows with the number of containers only. */
  observe(options?: ObserveOptions): Promise<Observation>;

  /**
   * Idempotent: same spec, no change. Refuses (before anything is made) what the host cannot do. With `heldBack` it will
   * run beside another one of its name: its ports are not published, and no name leads to it, before `handOver`.
   */
  createContainer(spec: ContainerSpec, options?: { readonly heldBack?: boolean }): Promise<void>;
  /**
   * From now on others find `to` and not `from`: published ports and names go over, the ports in one transaction.
   * Connections that are open stay where they are. Idempotent.
   */
  handOver(containers: HandOver): Promise<void>;
  /** TCP connections through published ports that are open, or being opened, to a container. */
  openConnections(id: string): Promise<number>;
  /** Starts a created or exited container; resolves when its program has been exec'ed. Publishes its ports. */
  startContainer(id: string): Promise<{ readonly pid: number; readonly startedAtMs: number }>;
  /**
   * Starts a container that does not run, attached from before its first instruction: the session has all that it writes,
   * and writing waits for whoever reads. Closing the session leaves it running; it ends the input of one that has `stdin`
   * and no terminal, unless signal 0 was sent before.
   */
  runContainer(
    id: string,
    owner: OwnerOptions,
  ): Promise<{ readonly session: ProcessSession; readonly startedAtMs: number }>;
  /** Sends the stop signal, then SIGKILL after the grace period. Withdraws its ports first. Idempotent. */
  stopContainer(id: string, options: StopOptions): Promise<ExitRecord>;
  signalContainer(id: string, signal: string): Promise<void>;
  /**
   * A running container sees other files at the paths of these mounts, each replaced at once, then gets the signal; what
   * it has open stays open. When it fails it may see any of them, and `ContainerStatus.reload` says so. Idempotent.
   */
  reloadContainer(id: string, reload: Reload): Promise<void>;
  pauseContainer(id: string): Promise<void>;
  unpauseContainer(id: string): Promise<void>;
  /** The container's root as a tar archive, owners as the container sees them, without what is mounted in it. */
  exportContainer(
    id: string,
    options: { readonly pause: boolean; readonly abort: AbortSignal },
  ): AsyncIterable<Uint8Array>;
  /** An image out of the container's image and what was changed in its root since. */
  commitContainer(id: string, options: CommitOptions): Promise<Image>;
  /** Removes an ended container: cgroup, directories, leases, log. Idempotent. */
  removeContainer(id: string): Promise<void>;
  /**
   * Resolves when the program has been exec'ed. Rejects, and ends what was begun, when `abort` comes before that or it
   * takes longer than 10 s: processes of the container can stop or starve the new one.
   */
  exec(
    id: string,
    spec: ExecSpec,
    options?: { readonly abort?: AbortSignal },
  ): Promise<ProcessSession>;
  /**
   * Copies between the container, whether it runs or not, and the session's streams, in a process that is in the
   * container. Its exit code is not 0 when it failed; a line on stderr then says why. Lines of a copy that succeeds name
   * what was left out. SIGKILL ends it when the container starts, ends or is removed meanwhile.
   */
  copy(id: string, spec: CopySpec): Promise<ProcessSession>;
  /**
   * A TCP connection to a port, made in the container's network by a process of the runtime. As `exec` resolves, before
   * there is a connection; exit code 1 and a line on stderr say that none was made, or that it broke.
   */
  dial(
    id: string,
    spec: DialSpec,
    options?: { readonly abort?: AbortSignal },
  ): Promise<ProcessSession>;
  /** What the container has changed of its image, sorted by path; its mounts are no part of it. */
  changes(id: string): Promise<readonly FileChange[]>;
  attach(id: string, options: { readonly stdin: boolean }): Promise<ProcessSession>;
  /** Lines of the container's log, oldest first; with `follow` until the signal or the container's end. */
  logs(
    id: string,
    options: {
      readonly tail?: number;
      readonly sinceMs?: number;
      readonly follow: boolean;
      readonly abort: AbortSignal;
    },
  ): AsyncIterable<LogLine>;
  /** Processes that the kernel killed for lack of memory in the run that goes on. */
  outOfMemoryKills(id: string): Promise<number>;
  /** What the kernel counts of its cgroup by now. */
  usage(id: string): Promise<Usage>;
  /** Host pids of every process in the container's cgroup. */
  processes(id: string): Promise<readonly number[]>;

  ensureNetwork(spec: NetworkSpec): Promise<NetworkStatus>;
  removeNetwork(name: string): Promise<void>;
  ensureVolume(spec: VolumeSpec): Promise<VolumeStatus>;
  /** Refused while a container mounts it. */
  removeVolume(name: string): Promise<void>;

  /** Puts right what `observe` reported as drift: table, elements, bridges, limits, files. */
  repair(drift: readonly KernelDrift[]): Promise<void>;

  /** Called once for each container that ends, also for those that ended while no agent ran. */
  onExit(listener: ExitListener): void;

  /** sd_notify through the helper (Node has no datagram AF_UNIX sockets). */
  notify(socketPath: string, message: string): Promise<void>;

  /** Leaves every container running. */
  close(): Promise<void>;
  /** Stops and removes everything the instance owns in the kernel; with `volumes` their data too. */
  destroy(options: { readonly volumes: boolean; readonly abort: AbortSignal }): Promise<void>;
};
