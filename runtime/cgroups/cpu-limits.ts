import type { Resources } from "../container-spec.ts";
import type { CgroupHost } from "./cgroup-host.ts";
import { type CgroupWrite, required, write } from "./cgroup-write.ts";
import { readText } from "./container-cgroup.ts";

const periodUsDefault = 100_000;
const quotaUsMin = 1000;

/** Bandwidth, weight and the set of CPUs. */
export function cpuWrites(host: CgroupHost, path: string, resources: Resources): CgroupWrite[] {
  return [
    ...bandwidthWrites(host, path, resources),
    ...weightWrites(host, path, resources),
    ...cpusetWrites(host, path, resources),
  ];
}

function bandwidthWrites(host: CgroupHost, path: string, resources: Resources): CgroupWrite[] {
  const { cpus, cpuPeriodUs, cpuQuotaUs } = resources;
  if (cpus === undefined && cpuPeriodUs === undefined && cpuQuotaUs === undefined) return [];
  if (cpus !== undefined && (cpuPeriodUs !== undefined || cpuQuotaUs !== undefined)) {
    throw new Error("cannot limit CPU time twice: give either cpus, or a period and a quota");
  }
  const field = cpus === undefined ? "cpuQuotaUs" : "cpus";
  const directory = required(host, "cpu", path);
  const periodUs = cpuPeriodUs ?? periodUsDefault;
  const quotaUs =
    cpus === undefined ? cpuQuotaUs : Math.max(quotaUsMin, Math.round(cpus * periodUs));
  if (!host.v1.has("cpu")) {
    const quota = quotaUs === undefined || quotaUs < 0 ? "max" : quotaUs;
    return [write(directory, "cpu.max", `${quota} ${periodUs}`, field)];
  }
  return [
    write(directory, "cpu.cfs_period_us", periodUs, field),
    ...(quotaUs === undefined ? [] : [write(directory, "cpu.cfs_quota_us", quotaUs, field)]),
  ];
}

/** Shares 2 to 262144 become weight 1 to 10000, as container engines convert them. */
function weightWrites(host: CgroupHost, path: string, { cpuShares }: Resources): CgroupWrite[] {
  if (cpuShares === undefined) return [];
  const directory = required(host, "cpu", path);
  if (host.v1.has("cpu")) return [write(directory, "cpu.shares", cpuShares, "cpuShares")];
  const weight = 1 + Math.floor(((cpuShares - 2) * 9999) / 262_142);
  return [write(directory, "cpu.weight", weight, "cpuShares")];
}

function cpusetWrites(host: CgroupHost, path: string, { cpuset }: Resources): CgroupWrite[] {
  if (cpuset === undefined) return [];
  const directory = required(host, "cpuset", path);
  const cpus = { ...write(directory, "cpuset.cpus", cpuset, "cpuset"), writeOnly: true };
  const mountPoint = host.v1.get("cpuset");
  if (mountPoint === undefined) return [cpus];
  // A v1 cpuset takes no process before both of its files are written.
  const nodes = readText(`${mountPoint}/cpuset.mems`).trim();
  return [cpus, { ...write(directory, "cpuset.mems", nodes, "cpuset"), writeOnly: true }];
}
