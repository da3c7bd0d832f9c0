import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { posix } from "node:path";
import type { CgroupHost } from "../cgroups/cgroup-host.ts";
import { readText } from "../cgroups/container-cgroup.ts";

/** Where a container is accounted: a directory in each hierarchy. */
export type CgroupDirs = { readonly v1: readonly string[]; readonly unified: string | undefined };

/**
 * `linux.cgroupsPath` below the mount points: absolute or relative, or systemd's `slice:prefix:name`, which becomes the
 * path that systemd would use. Throws where it is the root or leads out.
 */
export function cgroupPath(cgroupsPath: string | null | undefined, id: string): string {
  if (cgroupsPath == null || cgroupsPath === "") return `/berth-oci-${id}`;
  const parts = cgroupsPath.split(":");
  const path =
    parts.length === 3 && !cgroupsPath.startsWith("/")
      ? scopePath(parts)
      : posix.normalize(`/${cgroupsPath}`).replace(/\/+$/, "");
  if (path === "" || cgroupsPath.split("/").includes("..")) {
    throw new Error(
      `cannot use linux.cgroupsPath ${cgroupsPath} because it is no directory of the container's own: a path such as /parts/${id} is expected`,
    );
  }
  return path;
}

/** In every hierarchy of the host. */
export function dirsOf(host: CgroupHost, path: string): CgroupDirs {
  return {
    v1: [...new Set(host.v1.values())].map((mountPoint) => mountPoint + path),
    unified: host.unified === undefined ? undefined : host.unified + path,
  };
}

/** Makes the directories with all above them; v2 hands its controllers down, v1's cpuset begins empty. */
export function makeCgroup(host: CgroupHost, path: string): void {
  const dirs = dirsOf(host, path);
  for (const dir of dirs.v1) mkdirSync(dir, { recursive: true });
  const cpuset = host.v1.get("cpuset");
  if (cpuset !== undefined) fillCpusets(cpuset, path);
  if (host.unified === undefined) return;
  let dir = host.unified;
  for (const part of path.split("/").filter(Boolean)) {
    for (const controller of readText(`${dir}/cgroup.controllers`).split(/\s+/).filter(Boolean)) {
      try {
        writeFileSync(`${dir}/cgroup.subtree_control`, `+${controller}`);
      } catch {
        // A limit that needs the controller says so when it is written.
      }
    }
    dir = `${dir}/${part}`;
    mkdirSync(dir, { recursive: true });
  }
}

/** Pids in the cgroup and all below it. */
export function cgroupPids(dirs: CgroupDirs): readonly number[] {
  const pids = new Set<number>();
  const top = dirs.v1.find((dir) => readText(`${dir}/cgroup.procs`) !== "") ?? dirs.unified;
  if (top === undefined) return [];
  for (const dir of treeOf(top)) {
    for (const line of readText(`${dir}/cgroup.procs`).split("\n").filter(Boolean)) {
      if (line !== "0") pids.add(Number(line));
    }
  }
  return [...pids];
}

/** Removes the directories with all below them. False while a process of one is being reaped. */
export function removeCgroup(dirs: CgroupDirs): boolean {
  let gone = true;
  for (const dir of [...dirs.v1, ...(dirs.unified === undefined ? [] : [dirs.unified])]) {
    for (const nested of treeOf(dir).toReversed()) gone = removeDir(nested) && gone;
  }
  return gone;
}

/** `system.slice` with `a-b.slice` below `a.slice`, as systemd.slice(5) has it. */
function scopePath([slice = "", prefix = "", name = ""]: readonly string[]): string {
  const words = (slice === "" ? "system.slice" : slice).replace(/\.slice$/, "").split("-");
  const slices = words.map((_, at) => `${words.slice(0, at + 1).join("-")}.slice`);
  const above = slice === "-.slice" ? "" : `/${slices.join("/")}`;
  const unit = name.endsWith(".slice") ? name : `${prefix === "" ? "" : `${prefix}-`}${name}.scope`;
  return `${above}/${unit}`;
}

function fillCpusets(mountPoint: string, path: string): void {
  let dir = mountPoint;
  for (const part of path.split("/").filter(Boolean)) {
    const above = dir;
    dir = `${dir}/${part}`;
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (readText(`${dir}/${file}`).trim() !== "") continue;
      writeFileSync(`${dir}/${file}`, readFileSync(`${above}/${file}`));
    }
  }
}

function treeOf(dir: string): readonly string[] {
  try {
    const below = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [dir, ...below.flatMap(({ name }) => treeOf(`${dir}/${name}`))];
  } catch {
    return [];
  }
}

function removeDir(dir: string): boolean {
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT";
  }
}
