/** The metric families of containers, under the names, labels and units that cAdvisor gives them. */
import type { MetricType } from "./exposition.ts";
import type { DeviceColumn, Figure, InterfaceColumn } from "./figures.ts";

/** Beyond what the kernel counts: known of the container itself. */
export type KnownValue =
  | "lastSeen"
  | "startTime"
  | "createdTime"
  | "health"
  | "restarts"
  | "oomEvents"
  | "state";

/** One series of a family for each container. `labels` come after the container's own. */
export type FigureSeries = { readonly figure: Figure; readonly labels?: string };

export type Family = {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** Values are whole numbers of 10^-decimals. */
  readonly decimals: number;
  /** Only where CPU time is limited. */
  readonly needsQuota?: boolean;
} & (
  | { readonly kind: "figures"; readonly series: readonly FigureSeries[] }
  | { readonly kind: "device"; readonly column: DeviceColumn }
  | { readonly kind: "interface"; readonly column: InterfaceColumn }
  | { readonly kind: "known"; readonly value: KnownValue }
);

const microseconds = 6;
const milliseconds = 3;

const unnumbered: readonly Family[] = [
  known(
    "last_seen",
    "gauge",
    "Unix time at which the container's cgroup was last read.",
    "lastSeen",
    milliseconds,
  ),
  known(
    "start_time_seconds",
    "gauge",
    "Unix time at which the container was last started.",
    "startTime",
    milliseconds,
  ),
  known(
    "creation_time_seconds",
    "gauge",
    "Unix time at which the container was made.",
    "createdTime",
    milliseconds,
  ),
  known(
    "health_state",
    "gauge",
    "1 healthy, 0 starting or unhealthy, -1 without a health check.",
    "health",
  ),
  known("restarts_total", "counter", "Restarts by the restart policy.", "restarts"),
  known("state", "gauge", "1 for the state that the container is in.", "state"),
  known(
    "oom_events_total",
    "counter",
    "Processes of the container killed for want of memory.",
    "oomEvents",
  ),

  cpu("usage_seconds_total", "CPU time used.", "cpuUsageUs", 'cpu="total"'),
  cpu("user_seconds_total", "CPU time used in user mode.", "cpuUserUs"),
  cpu("system_seconds_total", "CPU time used in the kernel.", "cpuSystemUs"),
  quota("cfs_periods_total", "Enforcement periods that passed.", "cpuPeriods", 0),
  quota(
    "cfs_throttled_periods_total",
    "Periods in which the CPU quota ran out.",
    "cpuThrottledPeriods",
    0,
  ),
  quota("cfs_throttled_seconds_total", "Time spent throttled.", "cpuThrottledUs", microseconds),
  quota("cfs_burst_periods_total", "Periods in which a burst was taken.", "cpuBursts", 0),
  quota("cfs_burst_seconds_total", "CPU time taken by bursts.", "cpuBurstUs", microseconds),

  memory("usage_bytes", "Memory in use, page cache included.", "memoryUsage"),
  memory("working_set_bytes", "Memory in use less the inactive page cache.", "memoryWorkingSet"),
  memory("rss", "Anonymous memory in bytes.", "memoryRss"),
  memory("cache", "Page cache in bytes.", "memoryCache"),
  memory("swap", "Swap in use in bytes.", "memorySwap"),
  memory("mapped_file", "Mapped files in bytes.", "memoryMappedFile"),
  memory("total_active_file_bytes", "Page cache on the active list.", "memoryActiveFile"),
  memory("total_inactive_file_bytes", "Page cache on the inactive list.", "memoryInactiveFile"),
  memory("file_dirty_bytes", "Page cache that waits to be written.", "memoryFileDirty"),
  memory("file_writeback_bytes", "Page cache that is being written.", "memoryFileWriteback"),
  memory("max_usage_bytes", "Highest usage so far.", "memoryPeak"),
  memoryCount("failcnt", "Times that the memory limit was reached.", "memoryFailcnt"),
  memoryCount("events_high_total", "Times that usage was over memory.high.", "memoryEventsHigh"),
  memoryCount(
    "events_max_total",
    "Times that usage was about to go over memory.max.",
    "memoryEventsMax",
  ),
  memoryCount("pgscan_total", "Pages looked at by reclaim.", "memoryScan"),
  memoryCount("pgsteal_total", "Pages taken by reclaim.", "memorySteal"),
  memoryCount(
    "workingset_refault_anon_total",
    "Anonymous pages read back after eviction.",
    "refaultAnon",
  ),
  memoryCount(
    "workingset_refault_file_total",
    "Cache pages read back after eviction.",
    "refaultFile",
  ),
  figures("memory_failures_total", "counter", "Page faults.", 0, pageFaults()),

  device("reads_bytes_total", "Bytes read from the device.", "readBytes"),
  device("writes_bytes_total", "Bytes written to the device.", "writeBytes"),
  device("reads_total", "Read operations on the device.", "reads"),
  device("writes_total", "Write operations on the device.", "writes"),

  network("receive_bytes_total", "Bytes received.", "receiveBytes"),
  network("receive_packets_total", "Packets received.", "receivePackets"),
  network("receive_errors_total", "Errors on receipt.", "receiveErrors"),
  network("receive_packets_dropped_total", "Packets dropped on receipt.", "receiveDropped"),
  network("transmit_bytes_total", "Bytes sent.", "transmitBytes"),
  network("transmit_packets_total", "Packets sent.", "transmitPackets"),
  network("transmit_errors_total", "Errors on sending.", "transmitErrors"),
  network("transmit_packets_dropped_total", "Packets dropped on sending.", "transmitDropped"),

  figures("threads", "gauge", "Threads in the container.", 0, [{ figure: "pidsCurrent" }]),
  figures(
    "threads_max",
    "gauge",
    "Most threads that the container may have, 0 without a limit.",
    0,
    [{ figure: "pidsMax" }],
  ),
  figures("processes", "gauge", "Processes in the container.", 0, [{ figure: "processes" }]),

  pressure("cpu_waiting_seconds_total", "Time that some task waited for a CPU.", "cpuWaitingUs"),
  pressure("cpu_stalled_seconds_total", "Time that every task waited for a CPU.", "cpuStalledUs"),
  pressure(
    "memory_waiting_seconds_total",
    "Time that some task waited for memory.",
    "memoryWaitingUs",
  ),
  pressure(
    "memory_stalled_seconds_total",
    "Time that every task waited for memory.",
    "memoryStalledUs",
  ),
  pressure("io_waiting_seconds_total", "Time that some task waited for I/O.", "ioWaitingUs"),
  pressure("io_stalled_seconds_total", "Time that every task waited for I/O.", "ioStalledUs"),

  {
    ...spec("cpu_quota", "CPU time in microseconds that a period allows.", "cpuQuotaUs"),
    needsQuota: true,
  },
  spec("cpu_period", "Length of a period in microseconds.", "cpuPeriodUs"),
  spec("cpu_shares", "Weight among others that want the CPU.", "cpuShares"),
  spec("memory_limit_bytes", "Memory limit, 0 without one.", "memoryLimit"),
  spec("memory_swap_limit_bytes", "Swap limit, 0 without one.", "memorySwapLimit"),
  spec("memory_reservation_limit_bytes", "Memory reservation, 0 without one.", "memoryReservation"),
];

/** A series that every container can have, with its place in an array of all of them. */
export type NumberedSeries = FigureSeries & { readonly slot: number };

/** `slot`: the family's place among all; `series`: empty for families whose series differ from container to container. */
export type NumberedFamily = {
  readonly family: Family;
  readonly slot: number;
  readonly series: readonly NumberedSeries[];
};

export const families: readonly NumberedFamily[] = numbered();

function figures(
  name: string,
  type: MetricType,
  help: string,
  decimals: number,
  series: readonly FigureSeries[],
): Family {
  return { kind: "figures", name: `container_${name}`, type, help, decimals, series };
}

function known(
  name: string,
  type: MetricType,
  help: string,
  value: KnownValue,
  decimals = 0,
): Family {
  return { kind: "known", name: `container_${name}`, type, help, decimals, value };
}

function cpu(name: string, help: string, figure: Figure, labels = ""): Family {
  return figures(`cpu_${name}`, "counter", help, microseconds, [{ figure, labels }]);
}

function quota(name: string, help: string, figure: Figure, decimals: number): Family {
  return { ...figures(`cpu_${name}`, "counter", help, decimals, [{ figure }]), needsQuota: true };
}

function memory(name: string, help: string, figure: Figure): Family {
  return figures(`memory_${name}`, "gauge", help, 0, [{ figure }]);
}

function memoryCount(name: string, help: string, figure: Figure): Family {
  return figures(`memory_${name}`, "counter", help, 0, [{ figure }]);
}

function pageFaults(): readonly FigureSeries[] {
  return [
    { figure: "ownPageFaults", labels: 'failure_type="pgfault",scope="container"' },
    { figure: "ownMajorPageFaults", labels: 'failure_type="pgmajfault",scope="container"' },
    { figure: "pageFaults", labels: 'failure_type="pgfault",scope="hierarchy"' },
    { figure: "majorPageFaults", labels: 'failure_type="pgmajfault",scope="hierarchy"' },
  ];
}

function device(name: string, help: string, column: DeviceColumn): Family {
  return {
    kind: "device",
    name: `container_fs_${name}`,
    type: "counter",
    help,
    decimals: 0,
    column,
  };
}

function network(name: string, help: string, column: InterfaceColumn): Family {
  return {
    kind: "interface",
    name: `container_network_${name}`,
    type: "counter",
    help,
    decimals: 0,
    column,
  };
}

function pressure(name: string, help: string, figure: Figure): Family {
  return figures(`pressure_${name}`, "counter", help, microseconds, [{ figure }]);
}

function spec(name: string, help: string, figure: Figure): Family {
  return figures(`spec_${name}`, "gauge", help, 0, [{ figure }]);
}

function numbered(): readonly NumberedFamily[] {
  let seriesSlot = 0;
  return unnumbered.map((family, slot) => ({
    family,
    slot,
    series:
      family.kind === "figures"
        ? family.series.map((series) => ({ ...series, slot: seriesSlot++ }))
        : [],
  }));
}
