/** What the metrics of a container are made from, and the figures read of it. */

/** Where the kernel counts for this container. A controller that is in neither place has no metrics. */
export type CgroupDirs = {
  /** v1 controller (cpu, cpuacct, memory, blkio, pids) -> this container's directory. */
  readonly v1: Readonly<Record<string, string>>;
  /** This container's directory in the cgroup2 tree: on a hybrid host PSI and CPU time come from there. */
  readonly unified?: string;
};

export type ContainerTarget = {
  /** cgroup path, as cAdvisor's `id` label. */
  readonly id: string;
  readonly containerId: string;
  readonly name: string;
  readonly image: string;
  /** Exposed as `container_label_<key>`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly cgroupDirs: CgroupDirs;
  /** Interface name inside the container -> host side of the pair. */
  readonly hostInterfaces: Readonly<Record<string, string>>;
  readonly state: string;
  /** Seconds since the epoch; undefined: never started. */
  readonly startTimeSeconds?: number;
  readonly createdTimeSeconds: number;
  readonly health: "none" | "starting" | "healthy" | "unhealthy";
  readonly restarts: number;
  /**
   * OOM kills of earlier runs (the kernel's count begins anew with each cgroup), less what the cgroup had counted when
   * this run began.
   */
  readonly oomKills?: number;
};

/** Figures of one moment. Counters count from the start of the container. */
export type ContainerSample = {
  readonly cpuUsageUs: number;
  /** Working set: what is used without the page cache that can be dropped at once. */
  readonly memoryBytes: number;
  /** null: no limit. */
  readonly memoryBytesMax: number | null;
  readonly pids: number;
  readonly networkReceiveBytes: number;
  readonly networkTransmitBytes: number;
  readonly blockReadBytes: number;
  readonly blockWriteBytes: number;
};
