import type { Stats } from "node:fs";
import { chmod, chown, lstat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "./durable-files.ts";

/**
 * A layer may carry `usr/bin/x` without `usr` and `usr/bin`. Unpacked by itself it then has directories of nobody's
 * making, which overlay would put in front of the real ones: they get mode, owner and time of the nearest lower
 * layer's. `lowerDirs` is lowest first. Nothing else writes to these trees while this runs.
 */
export async function restoreImpliedDirectories(
  layerDir: string,
  impliedDirectories: readonly string[],
  lowerDirs: readonly string[],
): Promise<void> {
  const nearestFirst = lowerDirs.toReversed();
  for (const implied of impliedDirectories) {
    const components = implied.split("/").filter((part) => part !== "" && part !== ".");
    if (components.includes("..")) continue;
    const own = await findDirectory(layerDir, components);
    if (own === "absent" || own === "hidden") continue;
    const model = await nearestDirectory(nearestFirst, components);
    if (model === undefined) continue;
    const path = join(layerDir, ...components);
    await chown(path, model.uid, model.gid);
    await chmod(path, model.mode & 0o7777);
    await utimes(path, model.atime, model.mtime);
    await syncDirectory(path);
  }
}

async function nearestDirectory(
  nearestFirst: readonly string[],
  components: readonly string[],
): Promise<Stats | undefined> {
  for (const lower of nearestFirst) {
    const found = await findDirectory(lower, components);
    if (found === "hidden") return undefined;
    if (found !== "absent") return found;
  }
  return undefined;
}

/** Follows no link: a whiteout, file or link on the way hides whatever the layers below have there. */
async function findDirectory(
  root: string,
  components: readonly string[],
): Promise<Stats | "absent" | "hidden"> {
  let path = root;
  let stats = await lstat(path);
  for (const component of components) {
    path = join(path, component);
    const next = await lstat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (next === undefined) return "absent";
    if (!next.isDirectory()) return "hidden";
    stats = next;
  }
  return stats;
}
