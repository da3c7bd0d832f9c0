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
  const lower: SameDirectories = new Map([["", lowerDirs.toReversed()]]);
  const own: SameDirectories = new Map([["", [layer.directory]]]);
  const pairs: DressedDirectory[] = [];
  for (const implied of layer.implied) {
    const components = implied.split("/").filter((part) => part !== "" && part !== ".");
    if (components.includes("..")) continue;
    const [model] = await sameDirectories(lower, components);
    if (model === undefined) continue;
    const [directory] = await sameDirectories(own, components);
    if (directory !== undefined) pairs.push({ directory, model });
  }
  await unpacker.dressLike(pairs);
  for (const { directory } of pairs) await syncDirectory(directory);
}

/** By path, what has been found: the directories of that path in several trees, the one that counts first. */
type SameDirectories = Map<string, readonly string[]>;

async function sameDirectories(
  found: SameDirectories,
  components: readonly string[],
): Promise<readonly string[]> {
  let path = "";
  let directories = found.get(path) ?? [];
  for (const component of components) {
    path = `${path}/${component}`;
    directories = found.get(path) ?? (await childrenOf(directories, component));
    found.set(path, directories);
  }
  return directories;
}

/** Follows no link: a whiteout, file or link hides whatever the trees behind it have there. */
async function childrenOf(parents: readonly string[], name: string): Promise<readonly string[]> {
  const children: string[] = [];
  for (const parent of parents) {
    const path = join(parent, name);
    const status = await lstat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (status === undefined) continue;
    if (!status.isDirectory()) break;
    children.push(path);
  }
  return children;
}
