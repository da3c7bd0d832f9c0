/** Which files of a container's cgroups are read, and what is taken from them. */
import type { CgroupDirs } from "./container-target.ts";
import { type Figure, figureIndex } from "./figures.ts";
import {
  blkioOperations,
  countLines,
  ioStat,
  type KeyedFigures,
  keyedNumbers,
  numberPair,
  type Parser,
  pressure,
  singleNumber,
} from "./kernel-text.ts";

export type CgroupFile = {
  readonly path: string;
  readonly parse: Parser;
  readonly when: ReadWhen;
};

/**
 * `limits` change seldom and are read once a minute. `quota`: read only while a CPU quota is set. `active`: read after the
 * container used CPU time, and with the limits; by itself it changes no memory and no number of processes without, only the
 * host reclaims some. `shared`: read while the parent cgroup's file of that name, which counts for all children, changes.
 */
export type ReadWhen = "always" | "limits" | "quota" | "active" | "shared";

type FileRow = readonly [name: string, parse: Parser, when?: CgroupFile["when"]];

/** USER_HZ is 100 on every architecture that Linux runs containers on (times(2)). */
const tickUs = 10_000;
const microsecondsOfNs = 1 / 1000;

const cpuTimes: KeyedFigures = {
  usage_usec: ["cpuUsageUs"],
  user_usec: ["cpuUserUs"],
  system_usec: ["cpuSystemUs"],
};

const throttling: KeyedFigures = {
  nr_periods: ["cpuPeriods"],
  nr_throttled: ["cpuThrottledPeriods"],
  nr_bursts: ["cpuBursts"],
};

const cpuacctFiles: readonly FileRow[] = [
  ["cpuacct.usage", converted("cpuUsageUs", (ns) => Math.floor(ns * microsecondsOfNs))],
  ["cpuacct.stat", keyedNumbers({ user: ["cpuUserUs", tickUs], system: ["cpuSystemUs", tickUs] })],
];

const v1CpuFiles: readonly FileRow[] = [
  ["cpu.cfs_quota_us", singleNumber("cpuQuotaUs"), "limits"],
  ["cpu.cfs_period_us", singleNumber("cpuPeriodUs"), "limits"],
  ["cpu.shares", singleNumber("cpuShares"), "limits"],
  [
    "cpu.stat",
    keyedNumbers({
      ...throttling,
      throttled_time: ["cpuThrottledUs", microsecondsOfNs],
      burst_time: ["cpuBurstUs", microsecondsOfNs],
    }),
    "quota",
  ],
];

const v1MemoryFiles: readonly FileRow[] = [
  ["memory.usage_in_bytes", singleNumber("memoryUsage"), "active"],
  ["memory.max_usage_in_bytes", singleNumber("memoryPeak"), "active"],
  ["memory.failcnt", singleNumber("memoryFailcnt"), "active"],
  ["memory.oom_control", keyedNumbers({ oom_kill: ["oomKills"] }), "active"],
  ["memory.limit_in_bytes", singleNumber("memoryLimit", 0), "limits"],
  ["memory.memsw.limit_in_bytes", singleNumber("memorySwapLimit", 0), "limits"],
  ["memory.soft_limit_in_bytes", singleNumber("memoryReservation", 0), "limits"],
  [
    "memory.stat",
    keyedNumbers({
      total_rss: ["memoryRss"],
      total_cache: ["memoryCache"],
      total_swap: ["memorySwap"],
      total_mapped_file: ["memoryMappedFile"],
      total_active_file: ["memoryActiveFile"],
      total_inactive_file: ["memoryInactiveFile"],
      total_pgfault: ["pageFaults"],
      total_pgmajfault: ["majorPageFaults"],
      pgfault: ["ownPageFaults"],
      pgmajfault: ["ownMajorPageFaults"],
    }),
    "active",
  ],
];

/** The throttling layer sees the I/O of every scheduler; bfq's own files only that of devices which bfq serves. */
const v1BlockFiles: readonly FileRow[] = [
  [
    "blkio.throttle.io_service_bytes_recursive",
    blkioOperations("readBytes", "writeBytes"),
    "shared",
  ],
  ["blkio.throttle.io_serviced_recursive", blkioOperations("reads", "writes"), "shared"],
];

const pidsFiles: readonly FileRow[] = [
  ["pids.current", singleNumber("pidsCurrent"), "active"],
  ["pids.max", singleNumber("pidsMax", 0), "limits"],
  ["cgroup.procs", countLines("processes"), "limits"],
];

const pressureFiles: readonly FileRow[] = [
  ["cpu.pressure", pressure("cpuWaitingUs", "cpuStalledUs"), "shared"],
  ["memory.pressure", pressure("memoryWaitingUs", "memoryStalledUs"), "shared"],
  ["io.pressure", pressure("ioWaitingUs", "ioStalledUs"), "shared"],
];

const v2CpuFiles: readonly FileRow[] = [
  ["cpu.max", numberPair("cpuQuotaUs", "cpuPeriodUs"), "limits"],
  ["cpu.weight", converted("cpuShares", sharesOfWeight), "limits"],
  [
    "cpu.stat",
    keyedNumbers({
      ...cpuTimes,
      ...throttling,
      throttled_usec: ["cpuThrottledUs"],
      burst_usec: ["cpuBurstUs"],
    }),
  ],
];

const v2MemoryFiles: readonly FileRow[] = [
  ["memory.current", singleNumber("memoryUsage"), "active"],
  ["memory.peak", singleNumber("memoryPeak"), "active"],
  ["memory.swap.current", singleNumber("memorySwap"), "active"],
  ["memory.max", singleNumber("memoryLimit", 0), "limits"],
  ["memory.swap.max", singleNumber("memorySwapLimit", 0), "limits"],
  ["memory.low", singleNumber("memoryReservation", 0), "limits"],
  [
    "memory.events",
    keyedNumbers({
      high: ["memoryEventsHigh"],
      max: ["memoryEventsMax"],
      oom_kill: ["oomKills"],
    }),
    "active",
  ],
  [
    "memory.stat",
    keyedInBothScopes({
      anon: ["memoryRss"],
      file: ["memoryCache"],
      file_mapped: ["memoryMappedFile"],
      file_dirty: ["memoryFileDirty"],
      file_writeback: ["memoryFileWriteback"],
      active_file: ["memoryActiveFile"],
      inactive_file: ["memoryInactiveFile"],
      pgfault: ["pageFaults"],
      pgmajfault: ["majorPageFaults"],
      pgscan: ["memoryScan"],
      pgsteal: ["memorySteal"],
      workingset_refault_anon: ["refaultAnon"],
      workingset_refault_file: ["refaultFile"],
    }),
    "active",
  ],
];

/**
 * Each controller from where this host has it. CPU time comes from the cgroup2 directory where there is one: cgroup2
 * accounts for it in every cgroup, with any controllers, and in one file instead of two.
 */
export function cgroupFiles(dirs: CgroupDirs): readonly CgroupFile[] {
  const { v1, unified } = dirs;
  const files: CgroupFile[] = [];
  const add = (dir: string | undefined, rows: readonly FileRow[]): void => {
    if (dir === undefined) return;
    for (const [name, parse, when = "always"] of rows) {
      files.push({ path: `${dir}/${name}`, parse, when });
    }
  };
  add(v1.cpu, v1CpuFiles);
  if (v1.cpu === undefined) add(unified, v2CpuFiles);
  else add(unified, [["cpu.stat", keyedNumbers(cpuTimes)]]);
  if (unified === undefined) add(v1.cpuacct, cpuacctFiles);
  add(v1.memory, v1MemoryFiles);
  if (v1.memory === undefined) add(unified, v2MemoryFiles);
  add(v1.blkio, v1BlockFiles);
  if (v1.blkio === undefined) add(unified, [["io.stat", ioStat, "shared"]]);
  add(v1.pids ?? unified, pidsFiles);
  add(unified, pressureFiles);
  return files;
}

/** cgroup2 counts page faults with those of all descendants; cAdvisor shows that number under both scopes. */
function keyedInBothScopes(wanted: KeyedFigures): Parser {
  const read = keyedNumbers(wanted);
  return (bytes, length, reading) => {
    read(bytes, length, reading);
    const { values } = reading;
    values[figureIndex.ownPageFaults] = values[figureIndex.pageFaults] ?? Number.NaN;
    values[figureIndex.ownMajorPageFaults] = values[figureIndex.majorPageFaults] ?? Number.NaN;
  };
}

function converted(figure: Figure, convert: (value: number) => number): Parser {
  const read = singleNumber(figure);
  const index = figureIndex[figure];
  return (bytes, length, reading) => {
    read(bytes, length, reading);
    reading.values[index] = convert(reading.values[index] ?? Number.NaN);
  };
}

/** 1..10000 -> 2..262144: the inverse of the mapping that the OCI runtime specification's implementations share. */
function sharesOfWeight(weight: number): number {
  return Math.floor(2 + ((weight - 1) * 262142) / 9999);
}
