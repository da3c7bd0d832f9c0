import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type CgroupHost, controllerDir } from "./cgroup-host.ts";
import { cgroupDirs, cgroupProcesses, removeCgroup } from "./container-cgroup.ts";

/** A container below the instance's cgroup that the data directory knows nothing of. */
export type Stray = { readonly id: string; readonly path: string };

const endTries = 250;
const endTryMs = 20;

/**
 * What runs below `parent` (`/INSTANCE`) and is not among `known` ids: another data directory started it under the same
 * name, or this one was removed while it ran.
 */
export function findStrays(
  host: CgroupHost,
  { parent, known }: { readonly parent: string; readonly known: ReadonlySet<string> },
): readonly Stray[] {
  const dir = controllerDir(host, "pids", parent) ?? cgroupDirs(host, parent).unified;
  return namesIn(dir)
    .filter((name) => /^[0-9a-f]{64}$/.test(name) && !known.has(name))
    .map((id) => ({ id, path: `${parent}/${id}` }))
    .filter(({ path }) => cgroupProcesses(host, path).length > 0);
}

/** Kills every process of them and removes their cgroups; rejects when that cannot be done within 5 s. */
export async function endStrays(host: CgroupHost, strays: readonly Stray[]): Promise<void> {
  for (const { id, path } of strays) {
    let isGone = false;
    // What is killed may have forked meanwhile.
    for (let tries = 0; tries < endTries && !isGone; tries += 1) {
      for (const pid of cgroupProcesses(host, path)) killOne(pid);
      isGone = removeCgroup(host, path);
      if (!isGone) await sleep(endTryMs);
    }
    if (!isGone) throw new Error(`cannot end container ${id}: processes stay in cgroup ${path}`);
  }
}

function killOne(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended since it was listed.
  }
}

function namesIn(dir: string | undefined): readonly string[] {
  if (dir === undefined) return [];
  try {
    return readdirSync(dir);
  } catch {
    // Nothing of this name was ever started.
    return [];
  }
}
