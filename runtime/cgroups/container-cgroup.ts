import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { type CgroupHost, controllerDir, v1Controllers } from "./cgroup-host.ts";

/**
 * Directories of the cgroup at `path` (beginning with `/`) in every hierarchy that a container joins. `rare`: controllers
 * that only some containers use.
 */
export function cgroupDirs(
  host: CgroupHost,
  path: string,
  rare: readonly string[] = [],
): { readonly v1: readonly string[]; readonly unified: string | undefined } {
  const mountPoints = new Set<string>();
  for (const controller of [...v1Controllers, ...rare]) {
    const mountPoint = host.v1.get(controller);
    if (mountPoint !== undefined) mountPoints.add(mountPoint);
  }
  return {
    v1: [...mountPoints].map((mountPoint) => mountPoint + path),
    unified: host.unified === undefined ? undefined : host.unified + path,
  };
}

/** Makes the instance's parent cgroup and hands every controller of the unified tree down to its children. */
export function makeParentCgroup(host: CgroupHost, parent: string): void {
  const dirs = cgroupDirs(host, parent);
  for (const dir of dirs.v1) mkdirSync(dir, { recursive: true });
  if (dirs.unified === undefined || host.unified === undefined) return;
  enableControllers(host.unified, host.unifiedControllers);
  mkdirSync(dirs.unified, { recursive: true });
  enableControllers(dirs.unified, host.unifiedControllers);
}

/** A v1 cpuset begins empty, and nothing below it can have what it has not. */
export function makeRareParents(
  host: CgroupHost,
  parent: string,
  controllers: readonly string[],
): void {
  for (const controller of controllers) {
    const mountPoint = host.v1.get(controller);
    if (mountPoint === undefined) continue;
    mkdirSync(mountPoint + parent, { recursive: true });
    if (controller !== "cpuset") continue;
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      const own = `${mountPoint}${parent}/${file}`;
      if (readText(own).trim() === "") writeFileSync(own, readText(`${mountPoint}/${file}`));
    }
  }
}

/** Moves a process there in every hierarchy, so that what it forks begins there. */
export function moveToCgroup(host: CgroupHost, path: string, pid: number): void {
  const dirs = cgroupDirs(host, path);
  for (const dir of [...dirs.v1, ...(dirs.unified === undefined ? [] : [dirs.unified])]) {
    mkdirSync(dir, { recursive: true });
    writeFileSync(`${dir}/cgroup.procs`, `${pid}`);
  }
}

/**
 * Removes the cgroup where it exists. The kernel answers EBUSY while a process of it is being reaped: false then, and the
 * caller tries again.
 */
export function removeCgroup(host: CgroupHost, path: string): boolean {
  const dirs = cgroupDirs(host, path, rareControllerNames);
  const all = dirs.unified === undefined ? dirs.v1 : [...dirs.v1, dirs.unified];
  return all.map(removeDir).every(Boolean);
}

/** Host pids of every process in the cgroup. */
export function cgroupProcesses(host: CgroupHost, path: string): readonly number[] {
  const dir = controllerDir(host, "pids", path) ?? cgroupDirs(host, path).unified;
  if (dir === undefined) return [];
  return readText(`${dir}/cgroup.procs`).split("\n").filter(Boolean).map(Number);
}

/** How often the kernel killed a process of this cgroup for lack of memory. */
export function oomKills(host: CgroupHost, path: string): number {
  const dir = controllerDir(host, "memory", path);
  if (dir === undefined) return 0;
  const file = host.v1.has("memory") ? "memory.oom_control" : "memory.events";
  return Number(/^oom_kill (\d+)$/m.exec(readText(`${dir}/${file}`))?.[1] ?? 0);
}

/** Stops or continues every process of the cgroup. Throws where the host has no freezer. */
export function setFrozen(host: CgroupHost, path: string, frozen: boolean): void {
  const v1 = host.v1.get("freezer");
  if (v1 !== undefined) {
    writeFileSync(`${v1}${path}/freezer.state`, frozen ? "FROZEN" : "THAWED");
    return;
  }
  if (host.unified === undefined) {
    throw new Error("cannot pause because this host has no cgroup freezer: mount cgroup2");
  }
  writeFileSync(`${host.unified}${path}/cgroup.freeze`, frozen ? "1" : "0");
}

/** True when the freezer was told to stop the cgroup. */
export function isFrozen(host: CgroupHost, path: string): boolean {
  const file = freezerFile(host, path);
  if (file === undefined) return false;
  const text = readText(file);
  return host.v1.has("freezer") ? !text.startsWith("THAWED") : text.trim() === "1";
}

/** Where the freezer says so; undefined on a host without one. */
export function freezerFile(host: CgroupHost, path: string): string | undefined {
  const v1 = host.v1.get("freezer");
  if (v1 !== undefined) return `${v1}${path}/freezer.state`;
  return host.unified === undefined ? undefined : `${host.unified}${path}/cgroup.freeze`;
}

/** The text of a cgroup file; empty when it, or its cgroup, is gone. */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

const rareControllerNames = ["cpuset", "hugetlb"];

function enableControllers(dir: string, controllers: ReadonlySet<string>): void {
  const wanted = [...controllers].filter((name) =>
    ["cpu", "io", "memory", "pids", "cpuset", "hugetlb"].includes(name),
  );
  for (const controller of wanted) {
    // One write each: a controller that cannot be had must not take the others with it.
    try {
      writeFileSync(`${dir}/cgroup.subtree_control`, `+${controller}`);
    } catch {
      // Missing limits are reported by the feature check and when a container asks for one.
    }
  }
}

function removeDir(dir: string): boolean {
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return true;
    return !existsSync(dir);
  }
}
