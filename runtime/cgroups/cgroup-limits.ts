import type { Resources } from "../container-spec.ts";
import { type CgroupHost, controllerDir } from "./cgroup-host.ts";

/** One file of a cgroup and what is written to it. */
export type CgroupWrite = {
  readonly path: string;
  readonly value: string;
  /** The kernel may lack the file (swap accounting off) without the limit being lost. */
  readonly optional: boolean;
  /** Field of the container's resources, for messages. */
  readonly field: string;
};

const cpuPeriodUs = 100_000;
const cpuQuotaUsMin = 1000;

/**
 * The writes that put limits on the cgroup at `path` (beginning with `/`), in order. The same resources give the same
 * behaviour on v1 and v2: memory without extra swap, CPU bandwidth, pids. Throws when a limit is asked for whose
 * controller this host does not have.
 */
export function limitWrites(
  host: CgroupHost,
  path: string,
  resources: Resources,
): readonly CgroupWrite[] {
  return [
    ...memoryWrites(host, path, resources),
    ...cpuWrites(host, path, resources),
    ...pidsWrites(host, path, resources),
  ];
}

function memoryWrites(host: CgroupHost, path: string, resources: Resources): CgroupWrite[] {
  const { memoryBytesMax: max, memoryReservationBytes: reservation } = resources;
  if (max === undefined && reservation === undefined) return [];
  const directory = required(host, "memory", path);
  const isV1 = host.v1.has("memory");
  const writes: CgroupWrite[] = [];
  if (max !== undefined) {
    const [limitFile, swapFile] = isV1
      ? ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
      : ["memory.max", "memory.swap.max"];
    writes.push(write(directory, limitFile, `${max}`, "memoryBytesMax"), {
      ...write(directory, swapFile, isV1 ? `${max}` : "0", "memoryBytesMax"),
      optional: true,
    });
  }
  if (reservation !== undefined) {
    const file = isV1 ? "memory.soft_limit_in_bytes" : "memory.low";
    writes.push(write(directory, file, `${reservation}`, "memoryReservationBytes"));
  }
  return writes;
}

function cpuWrites(host: CgroupHost, path: string, resources: Resources): CgroupWrite[] {
  if (resources.cpus === undefined) return [];
  const directory = required(host, "cpu", path);
  const quotaUs = Math.max(cpuQuotaUsMin, Math.round(resources.cpus * cpuPeriodUs));
  if (!host.v1.has("cpu"))
    return [write(directory, "cpu.max", `${quotaUs} ${cpuPeriodUs}`, "cpus")];
  return [
    write(directory, "cpu.cfs_period_us", `${cpuPeriodUs}`, "cpus"),
    write(directory, "cpu.cfs_quota_us", `${quotaUs}`, "cpus"),
  ];
}

function pidsWrites(host: CgroupHost, path: string, resources: Resources): CgroupWrite[] {
  if (resources.pidsMax === undefined) return [];
  return [write(required(host, "pids", path), "pids.max", `${resources.pidsMax}`, "pidsMax")];
}

function write(directory: string, file: string, value: string, field: string): CgroupWrite {
  return { path: `${directory}/${file}`, value, optional: false, field };
}

function required(host: CgroupHost, controller: string, path: string): string {
  const directory = controllerDir(host, controller, path);
  if (directory === undefined) {
    throw new Error(
      `cannot limit ${controller} because this host has no ${controller} controller: enable it in the kernel (cgroup_enable=${controller}), or remove the limit`,
    );
  }
  return directory;
}
