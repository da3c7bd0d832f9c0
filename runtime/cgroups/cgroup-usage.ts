import { type CgroupHost, controllerDir } from "./cgroup-host.ts";
import { readText } from "./container-cgroup.ts";

/** Figures of a container's cgroup; undefined where this kernel does not count it. Those of CPU and stalls only rise. */
export type Usage = {
  readonly memoryBytes: number | undefined;
  /** Periods of the CPU limit in which something ran, and those of them in which it was throttled. */
  readonly cpuPeriods: number | undefined;
  readonly cpuPeriodsThrottled: number | undefined;
  /** Time in which some process waited, in microseconds. */
  readonly cpuStalledUs: number | undefined;
  readonly memoryStalledUs: number | undefined;
  readonly ioStalledUs: number | undefined;
};

/**
 * What the kernel counts of a cgroup (cgroup-v2.rst, "cpu.stat", "memory.stat" and "PSI"; memory.rst and
 * sched-bwc.rst for v1). Memory is what cannot be dropped at once: the inactive page cache does not count.
 */
export function cgroupUsage(host: CgroupHost, path: string): Usage {
  const memory = controllerDir(host, "memory", path);
  const isV1 = host.v1.has("memory");
  const used = numberIn(memory, isV1 ? "memory.usage_in_bytes" : "memory.current", /^(\d+)$/m);
  const inactive = numberIn(
    memory,
    "memory.stat",
    isV1 ? /^total_inactive_file (\d+)$/m : /^inactive_file (\d+)$/m,
  );
  const cpu = controllerDir(host, "cpu", path);
  const pressureDir = host.unified === undefined ? undefined : host.unified + path;
  return {
    memoryBytes: used === undefined ? undefined : Math.max(0, used - (inactive ?? 0)),
    cpuPeriods: numberIn(cpu, "cpu.stat", /^nr_periods (\d+)$/m),
    cpuPeriodsThrottled: numberIn(cpu, "cpu.stat", /^nr_throttled (\d+)$/m),
    cpuStalledUs: numberIn(pressureDir, "cpu.pressure", someTotal),
    memoryStalledUs: numberIn(pressureDir, "memory.pressure", someTotal),
    ioStalledUs: numberIn(pressureDir, "io.pressure", someTotal),
  };
}

const someTotal = /^some .*total=(\d+)$/m;

function numberIn(dir: string | undefined, file: string, pattern: RegExp): number | undefined {
  if (dir === undefined) return undefined;
  const [, digits] = pattern.exec(readText(`${dir}/${file}`)) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
