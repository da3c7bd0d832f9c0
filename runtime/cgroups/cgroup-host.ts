import { readFileSync } from "node:fs";

/**
 * The cgroup hierarchies of this host. v1, v2 and the mix of both differ only in which directories a container has:
 * one for each v1 controller in use, and one in the unified tree where that is mounted.
 */
export type CgroupHost = {
  /** Controller name -> mount point of its v1 hierarchy. Controllers mounted together share one. */
  readonly v1: ReadonlyMap<string, string>;
  /** Mount point of the cgroup2 tree; undefined where there is none. */
  readonly unified: string | undefined;
  /** Controllers that the cgroup2 tree can give. */
  readonly unifiedControllers: ReadonlySet<string>;
};

/** Controllers whose v1 directory a container gets; `cpuset` only where a container asks for it. */
export const v1Controllers = [
  "cpu",
  "cpuacct",
  "memory",
  "devices",
  "freezer",
  "blkio",
  "pids",
] as const;

const knownControllers = new Set<string>([...v1Controllers, "cpuset", "hugetlb", "io", "net_cls"]);

/** Reads /proc/self/mountinfo (proc_pid_mountinfo(5)). Throws when no cgroup hierarchy is mounted. */
export function detectCgroups(
  mountInfo = readFileSync("/proc/self/mountinfo", "utf8"),
): CgroupHost {
  const v1 = new Map<string, string>();
  let unified: string | undefined;
  for (const line of mountInfo.split("\n")) {
    const [left, right] = line.split(" - ");
    if (left === undefined || right === undefined) continue;
    const mountPoint = unescapeMountPath(left.split(" ")[4] ?? "");
    const [type, , options] = right.split(" ");
    if (type === "cgroup2") unified ??= mountPoint;
    if (type !== "cgroup") continue;
    for (const option of (options ?? "").split(",")) {
      if (knownControllers.has(option) && !v1.has(option)) v1.set(option, mountPoint);
    }
  }
  if (v1.size === 0 && unified === undefined) {
    throw new Error(
      "cannot account for containers: no cgroup hierarchy is mounted below /sys/fs/cgroup, mount cgroup2 there",
    );
  }
  return { v1, unified, unifiedControllers: readUnifiedControllers(unified) };
}

/** Where a controller lives: a v1 hierarchy wins, because the kernel gives a controller to one tree only. */
export function controllerDir(
  host: CgroupHost,
  controller: string,
  path: string,
): string | undefined {
  const mountPoint = host.v1.get(controller);
  if (mountPoint !== undefined) return mountPoint + path;
  const name = controller === "blkio" ? "io" : controller;
  if (host.unified !== undefined && host.unifiedControllers.has(name)) return host.unified + path;
  return undefined;
}

function readUnifiedControllers(unified: string | undefined): ReadonlySet<string> {
  if (unified === undefined) return new Set();
  try {
    const text = readFileSync(`${unified}/cgroup.controllers`, "utf8").trim();
    return new Set(text === "" ? [] : text.split(" "));
  } catch {
    return new Set();
  }
}

/** mountinfo writes space, tab, newline and backslash in octal. */
function unescapeMountPath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
