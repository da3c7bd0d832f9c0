import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "./durable-files.ts";
import type { DressedDirectory, Unpacker } from "./unpacker.ts";

/**
 * A layer may carry `usr/bin/x` without `usr` and `usr/bin`. Unpacked by itself it then has directories of nobody's
 * making, which overlay would put in front of the real ones: they get owner, mode, time and attributes of the nearest
 * lower layer's. `lowerDirs` is lowest first. Nothing else writes to these trees while this runs.
 */
export async function restoreImpliedDirectories(
  unpacker: Unpacker,
  layer: { readonly directory: string; readonly implied: readonly string[] },
  lowerDirs: readonly string[],
): Promise<void> {
  const nearestFirst = lowerDirs.toReversed();
  const pairs: DressedDirectory[] = [];
  for (const implied of layer.implied) {
    const components = implied.split("/").filter((part) => part !== "" && part !== ".");
    if (components.includes("..")) continue;
    if ((await findDirectory(layer.directory, components)) !== "found") continue;
    const model = await nearestDirectory(nearestFirst, components);
    if (model !== undefined) {
      pairs.push({ directory: join(layer.directory, ...components), model });
    }
  }
  await unpacker.dressLike(pairs);
  for (const { directory } of pairs) await syncDirectory(directory);
}

async function nearestDirectory(
  nearestFirst: readonly string[],
  components: readonly string[],
): Promise<string | undefined> {
  for (const lower of nearestFirst) {
    const found = await findDirectory(lower, components);
    if (found === "hidden") return undefined;
    if (found === "found") return join(lower, ...components);
  }
  return undefined;
}

/** Follows no link: a whiteout, file or link on the way hides whatever the layers below have there. */
async function findDirectory(
  root: string,
  components: readonly string[],
): Promise<"found" | "absent" | "hidden"> {
  let path = root;
  for (const component of components) {
    path = join(path, component);
    const next = await lstat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (next === undefined) return "absent";
    if (!next.isDirectory()) return "hidden";
  }
  return "found";
}
