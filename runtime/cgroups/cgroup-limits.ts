import type { Resources } from "../container-spec.ts";
import { blockWrites } from "./block-limits.ts";
import { type CgroupHost, controllerDir } from "./cgroup-host.ts";
import { type CgroupWrite, required, write } from "./cgroup-write.ts";
import { cpuWrites } from "./cpu-limits.ts";
import { memoryWrites } from "./memory-limits.ts";

/** What a container may have of processes and threads unless it asks for another number. */
const pidsMaxDefault = 2048;

/**
 * The writes that put limits on the cgroup at `path` (beginning with `/`), in order. The same resources give the same
 * behaviour on v1 and v2. Throws when a limit is asked for whose controller this host does not have.
 */
export function limitWrites(
  host: CgroupHost,
  path: string,
  resources: Resources,
): readonly CgroupWrite[] {
  return [...keptWrites(host, path, resources), ...blockWrites(host, path, resources)];
}

/**
 * Those of `limitWrites` that may be read again at any time: not of block devices, whose files tell other things than what was
 * written, and which may be pulled out, or lose their scheduler, beneath a container that runs.
 */
export function keptWrites(
  host: CgroupHost,
  path: string,
  resources: Resources,
): readonly CgroupWrite[] {
  return [
    ...memoryWrites(host, path, resources),
    ...cpuWrites(host, path, resources),
    ...pidsWrites(host, path, resources),
    ...hugePageWrites(host, path, resources),
  ];
}

/** v1 controllers that only some containers have a directory of. */
export function rareControllers(resources: Resources): readonly string[] {
  return [
    ...(resources.cpuset === undefined ? [] : ["cpuset"]),
    ...(resources.hugePageBytesMax === undefined ? [] : ["hugetlb"]),
  ];
}

function pidsWrites(host: CgroupHost, path: string, { pidsMax }: Resources): CgroupWrite[] {
  if (pidsMax === undefined) {
    const directory = controllerDir(host, "pids", path);
    return directory === undefined ? [] : [write(directory, "pids.max", pidsMaxDefault, "pidsMax")];
  }
  const value = pidsMax === -1 ? "max" : pidsMax;
  return [write(required(host, "pids", path), "pids.max", value, "pidsMax")];
}

function hugePageWrites(
  host: CgroupHost,
  path: string,
  { hugePageBytesMax }: Resources,
): CgroupWrite[] {
  return Object.entries(hugePageBytesMax ?? {}).map(([size, bytes]) => {
    const file = host.v1.has("hugetlb") ? "limit_in_bytes" : "max";
    const directory = required(host, "hugetlb", path);
    return write(directory, `hugetlb.${size}.${file}`, bytes, "hugePageBytesMax");
  });
}
