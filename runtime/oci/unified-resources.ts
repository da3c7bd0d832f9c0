import type { OciResources } from "./oci-config.ts";
import type { ResourceWrite } from "./oci-resources.ts";

/** The same limits as files of cgroup2 (admin-guide/cgroup-v2 of the kernel), by the v1 name of the controller. */
export function unifiedWrites(resources: OciResources): readonly ResourceWrite[] {
  return [
    ...memoryWrites(resources.memory ?? {}),
    ...cpuWrites(resources.cpu ?? {}),
    ...pidsWrites(resources.pids ?? {}),
    ...ioWrites(resources.blockIO ?? {}),
    ...(resources.hugepageLimits ?? []).map(({ pageSize, limit }) => ({
      controller: "hugetlb",
      file: `hugetlb.${pageSize}.max`,
      value: `${limit}`,
    })),
  ];
}

function memoryWrites(memory: NonNullable<OciResources["memory"]>): readonly ResourceWrite[] {
  const write = (file: string, value: number): ResourceWrite => ({
    controller: "memory",
    file: `memory.${file}`,
    value: value < 0 ? "max" : `${value}`,
  });
  const { limit, swap, reservation } = memory;
  // The specification counts memory into swap; cgroup2 does not.
  const swapOnly = swap == null ? undefined : swap < 0 || limit == null ? swap : swap - limit;
  if (swapOnly !== undefined && swap != null && swap >= 0 && swapOnly < 0) {
    throw new Error("cannot limit memory because linux.resources.memory.swap is below limit");
  }
  return [
    ...(limit == null || limit === 0 ? [] : [write("max", limit)]),
    ...(swapOnly === undefined || swap === 0 ? [] : [write("swap.max", swapOnly)]),
    ...(reservation == null || reservation === 0 ? [] : [write("low", reservation)]),
  ];
}

function cpuWrites(cpu: NonNullable<OciResources["cpu"]>): readonly ResourceWrite[] {
  const write = (file: string, value: string) => ({ controller: "cpu", file, value });
  const quota = cpu.quota == null || cpu.quota <= 0 ? "max" : `${cpu.quota}`;
  const asksForTime = (cpu.quota ?? 0) !== 0 || (cpu.period ?? 0) !== 0;
  return [
    ...(cpu.idle == null ? [] : [write("cpu.idle", `${cpu.idle}`)]),
    ...(cpu.shares == null || cpu.shares === 0
      ? []
      : [write("cpu.weight", `${weightOfShares(cpu.shares)}`)]),
    ...(asksForTime ? [write("cpu.max", `${quota} ${cpu.period || 100_000}`)] : []),
    ...(cpu.burst == null ? [] : [write("cpu.max.burst", `${cpu.burst}`)]),
    ...[
      { controller: "cpuset", file: "cpuset.cpus", value: cpu.cpus ?? "" },
      { controller: "cpuset", file: "cpuset.mems", value: cpu.mems ?? "" },
    ].filter(({ value }) => value !== ""),
  ];
}

/** From 2..262144 to 1..10000, as runtimes agree on. */
function weightOfShares(shares: number): number {
  return 1 + Math.floor(((Math.max(2, shares) - 2) * 9999) / 262_142);
}

function pidsWrites(pids: NonNullable<OciResources["pids"]>): readonly ResourceWrite[] {
  if (pids.limit == null || pids.limit === 0) return [];
  const value = pids.limit < 0 ? "max" : `${pids.limit}`;
  return [{ controller: "pids", file: "pids.max", value }];
}

function ioWrites(block: NonNullable<OciResources["blockIO"]>): readonly ResourceWrite[] {
  const write = (file: string, value: string): ResourceWrite => ({
    controller: "blkio",
    file,
    value,
  });
  const throttle = (word: string, devices: typeof block.throttleReadBpsDevice) =>
    (devices ?? []).map(({ major, minor, rate }) =>
      write("io.max", `${major}:${minor} ${word}=${rate}`),
    );
  return [
    ...throttle("rbps", block.throttleReadBpsDevice),
    ...throttle("wbps", block.throttleWriteBpsDevice),
    ...throttle("riops", block.throttleReadIOPSDevice),
    ...throttle("wiops", block.throttleWriteIOPSDevice),
  ];
}
