import { posix } from "node:path";
import type { Report } from "../diagnostics.ts";
import type { AppTrees } from "../trees/tree-reader.ts";
import { formatPath, locate } from "../yaml/node.ts";
import { placeInList } from "./check-model.ts";
import type { MountWish } from "./mount-wish.ts";
import type { FileModel } from "./read-file.ts";

/** Source of a relative bind mount, as the Compose file has it -> digest of the tree that it stands for. */
export type MountedTrees = ReadonlyMap<string, string>;

/** True for files of the repository, which are mounted from a tree of their own. */
export function isRelativeBind(wish: MountWish): wish is MountWish & { type: "bind" } {
  return wish.type === "bind" && !wish.source.startsWith("/");
}

/** Reads what the services of an app mount from the repository; what is not there is reported. */
export async function readMountedTrees({
  file,
  enabled,
  directory,
  trees,
  report,
}: {
  readonly file: FileModel;
  /** Services that run on this host. */
  readonly enabled: ReadonlySet<string>;
  /** Of the app, from the repository's root. */
  readonly directory: string;
  readonly trees: AppTrees;
  readonly report: Report;
}): Promise<MountedTrees> {
  const digests = new Map<string, string>();
  for (const [name, model] of file.services) {
    if (!enabled.has(name)) continue;
    const wishes = model?.volumes ?? [];
    for (const [index, wish] of wishes.entries()) {
      if (!isRelativeBind(wish)) continue;
      const answer = await trees.at(posix.join(directory, wish.source));
      if (answer.ok) digests.set(wish.source, answer.digest);
      else {
        const path = ["services", name, "volumes", placeInList(wishes, index)];
        report.error(locate(file.root, path), `${formatPath(path)}: ${answer.problem}`);
      }
    }
  }
  return digests;
}
