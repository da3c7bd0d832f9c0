/** A cgroup of this test run's own in every hierarchy that is mounted, v1 or v2. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import type { CgroupDirs } from "../../metrics/container-target.ts";

const controllers = ["cpu", "cpuacct", "memory", "blkio", "pids"];

let count = 0;

export type KernelCgroup = {
  readonly dirs: CgroupDirs;
  /** Moves a process in. */
  attach(pid: number): void;
  /** The cgroup must be empty. Idempotent. */
  remove(): void;
  /** Makes it again after `remove`. */
  make(): void;
};

/** Undefined, with the reason, where no cgroup can be made. */
export function kernelCgroup(): KernelCgroup | string {
  if (process.getuid?.() !== 0) return "making a cgroup takes root";
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const name = `bt-metrics-${process.pid}-${count++}`;
  const v1: Record<string, string> = {};
  let unified: string | undefined;
  for (const line of mounts) {
    const [left = "", right = ""] = line.split(" - ");
    const [type = "", , options = ""] = right.split(" ");
    const directory = `${left.split(" ")[4]}/${name}`;
    if (type === "cgroup2") unified ??= directory;
    if (type !== "cgroup") continue;
    for (const option of options.split(",")) {
      if (controllers.includes(option)) v1[option] ??= directory;
    }
  }
  const directories = [...new Set([...Object.values(v1), ...(unified ? [unified] : [])])];
  if (directories.length === 0) return "no cgroup hierarchy is mounted";
  const cgroup: KernelCgroup = {
    dirs: { v1, ...(unified === undefined ? {} : { unified }) },
    attach: (pid) => {
      for (const directory of directories) writeFileSync(`${directory}/cgroup.procs`, `${pid}`);
    },
    remove: () => {
      for (const directory of directories) if (existsSync(directory)) rmdirSync(directory);
    },
    make: () => {
      for (const directory of directories) mkdirSync(directory);
    },
  };
  try {
    cgroup.make();
  } catch (error) {
    cgroup.remove();
    return `no cgroup can be made here: ${String(error)}`;
  }
  return cgroup;
}
