/** The face of the runtime: what an agent may ask of it. Implemented by `openRuntime` in `open-runtime.ts`. */
import type { DatabaseSync } from "node:sqlite";
import type { ContainerSpec, ExecSpec, PortBinding } from "./container-spec.ts";
import type { HostFeature } from "./host-features.ts";
import type { Image, ImageMeters, ImageStore, MadeImage } from "./images/image-store.ts";
import type { CopySpec } from "./program/copy-spec.ts";
import type { RegistrySettings } from "./registry/registry-settings.ts";
import type { TrustPolicy } from "./trust/trust-policy.ts";

export type Log = {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
};

export type RuntimeOptions = {
  /** Durable directory: images, layers, volumes, container logs. */
  readonly libDir: string;
  /** Directory on a tmpfs: sockets, exit records. */
  readonly runDir: string;
  /** `[a-z][a-z0-9-]{0,30}`: names the bridges, the nft table and the cgroup parent. */
  readonly instance: string;
  /** `lib/state.db`: leases, images, volumes. The runtime makes its own tables, prefixed `runtime_`. */
  readonly state: DatabaseSync;
  /** `run/live.db`: the inventory of kernel objects and the intents to change them. */
  readonly live: DatabaseSync;
  readonly log: Log;
  /** Pool that new networks take their /24 from, for example `10.210.0.0/16`. */
  readonly addressPool: string;
  /** How registries are spoken to; undefined: by HTTPS, without proxies, and to loopback over plain HTTP too. */
  readonly registries?: RegistrySettings;
  /** Which images may be pulled, as it is now; undefined: all. */
  readonly imageTrust?: () => TrustPolicy;
  readonly imageMeters?: ImageMeters;
  /**
   * Asked for every path of the host that a container mounts, links resolved, right before it is mounted. Undefined:
   * every path is granted.
   */
  readonly admitBind?: (mount: { readonly source: string; readonly readOnly: boolean }) => boolean;
  /**
   * Whether containers reach 169.254.0.0/16, where clouds serve a host's credentials; name servers there are always
   * reached. Asked again in every round. Undefined: they do not.
   */
  readonly metadataAddress?: () => boolean;
  /** What secret mounts hold; the runtime keeps it for the moment of a start. Undefined: there are none. */
  readonly secretContent?: (secret: string) => Promise<Uint8Array>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
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

/** Something that differs from what the inventory says, seen by `observe`. */
export type KernelDrift = {
  readonly kind:
    | "port-missing"
    | "port-foreign"
    | "table-missing"
    | "bridge-missing"
    | "limit-changed";
  readonly target: string;
  readonly field: string;
  readonly from: string;
  readonly to: string;
};

export type NetworkSpec = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly internal: boolean;
  readonly ipam?: NetworkIpam;
};

/** What a network's addresses shall be; IPv4. */
export type NetworkIpam = {
  /** `172.28.0.0/16`; undefined: a free /24 of the instance's pool. */
  readonly subnet?: string;
  /** The bridge's own address; undefined: the first of the subnet. */
  readonly gateway?: string;
  /** Containers that ask for no address get one from this part of the subnet. */
  readonly range?: string;
  /** Only whoever asks for one of these gets it. */
  readonly reserved?: readonly string[];
};

export type NetworkStatus = NetworkSpec & {
  readonly bridge: string;
  readonly subnet: string;
  readonly gateway: string;
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

  /** What this host can do and cannot, with the fix for each; asked before anything is started. */
  features(): Promise<readonly HostFeature[]>;

  /** The kernel's truth. Spawns nothing; cost grows with the number of containers only. */
  observe(): Promise<Observation>;

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
  /** Sends the stop signal, then SIGKILL after the grace period. Withdraws its ports first. Idempotent. */
  stopContainer(id: string, options: StopOptions): Promise<ExitRecord>;
  signalContainer(id: string, signal: string): Promise<void>;
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
  /** Host pids of every process in the container's cgroup. */
  processes(id: string): Promise<readonly number[]>;

  ensureNetwork(spec: NetworkSpec): Promise<NetworkStatus>;
  removeNetwork(name: string): Promise<void>;
  ensureVolume(spec: VolumeSpec): Promise<VolumeStatus>;
  /** Refused while a container mounts it. */
  removeVolume(name: string): Promise<void>;

  /** Puts right what `observe` reported as drift: table, elements, bridges, limits. */
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
