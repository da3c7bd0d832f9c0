import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { type CgroupHost, detectCgroups } from "../cgroups/cgroup-host.ts";
import { readText } from "../cgroups/container-cgroup.ts";
import type { CgroupDirs } from "./cgroup-path.ts";
import type { OciRecord } from "./state-directory.ts";

/**
 * Where a further process is accounted: the container's cgroup, or the ones below it that were asked for, each as
 * `PATH` or, on v1, as `CONTROLLER[,CONTROLLER...]:PATH`. Throws where one leads out or is not there.
 */
export function execCgroup(record: OciRecord, wishes: readonly string[]): CgroupDirs {
  const host = detectCgroups();
  const { cgroup, cgroupPath } = record;
  const below = new Map<string | undefined, string>();
  for (const wish of wishes) {
    const { mountPoints, path } = readWish(wish, host);
    for (const mountPoint of mountPoints) below.set(mountPoint, path);
  }
  const place = (dir: string): string => {
    const path = below.get(dir.slice(0, dir.length - cgroupPath.length)) ?? below.get(undefined);
    return path === undefined ? dir : existing(posix.join(dir, path));
  };
  const unified = cgroup.unified === undefined ? undefined : place(cgroup.unified);
  return {
    v1: cgroup.v1.map(place),
    unified:
      unified !== undefined && unified === cgroup.unified ? openOne(record, unified) : unified,
  };
}

function readWish(
  wish: string,
  host: CgroupHost,
): { readonly mountPoints: readonly (string | undefined)[]; readonly path: string } {
  const at = wish.indexOf(":");
  const path = posix.normalize(wish.slice(at + 1));
  if (path.split("/").includes("..")) {
    throw new Error(
      `cannot exec in the cgroup ${wish} because ${path} is not a sub cgroup path: one below the container's is expected`,
    );
  }
  if (at < 0) return { mountPoints: [undefined], path };
  const mountPoints = wish
    .slice(0, at)
    .split(",")
    .map((controller) => {
      const mountPoint = host.v1.get(controller);
      if (mountPoint !== undefined) return mountPoint;
      const known = [...host.v1.keys()].join(", ") || "a path without one";
      throw new Error(
        `cannot exec in the cgroup ${wish} because of the unknown controller ${controller}: ${known} is expected`,
      );
    });
  return { mountPoints, path };
}

function existing(dir: string): string {
  if (existsSync(`${dir}/cgroup.procs`)) return dir;
  throw new Error(
    `cannot exec in the cgroup ${dir} because there is no such cgroup: make it first`,
  );
}

/**
 * A cgroup2 that hands controllers down takes no processes itself: a container whose init is a manager of services has
 * moved to one below, and whoever joins goes there, too.
 */
function openOne(record: OciRecord, dir: string): string {
  if (readText(`${dir}/cgroup.subtree_control`).trim() === "" || record.process === undefined) {
    return dir;
  }
  const line = readFileSync(`/proc/${record.process.pid}/cgroup`, "utf8")
    .split("\n")
    .find((one) => one.startsWith("0::"));
  const path = line?.slice("0::".length) ?? "";
  const isBelow = path.startsWith(`${record.cgroupPath}/`);
  return isBelow ? `${dir}${path.slice(record.cgroupPath.length)}` : dir;
}
