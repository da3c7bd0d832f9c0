import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { watch } from "chokidar";
import type { Log } from "../../runtime/runtime.ts";

/**
 * Calls `onChange` when a ref of a local repository may have moved (a commit in a working tree, a push to a bare
 * repository), and once when the watch has begun: what moved before it was not seen. It may call too often, never too
 * seldom but where inotify is exhausted: polling stays in place.
 */
export function watchRepository(options: {
  readonly path: string;
  readonly log: Log;
  readonly onChange: () => void;
}): { close(): Promise<void> } {
  const gitDir = commonGitDir(options.path);
  const watcher = watch(
    ["HEAD", "refs", "packed-refs", "reftable"].map((name) => join(gitDir, name)),
    { ignoreInitial: true, followSymlinks: false, ignored: (path) => path.endsWith(".lock") },
  );
  watcher.on("all", () => options.onChange());
  watcher.on("ready", () => options.onChange());
  watcher.on("error", (error) =>
    options.log.warn("cannot watch the repository, polling goes on", { path: gitDir, error }),
  );
  return { close: () => watcher.close() };
}

/** Calls `onChange` when a file is written, or replaced by a rename, and once when the watch has begun. */
export function watchFile(options: {
  readonly path: string;
  readonly log: Log;
  readonly onChange: () => void;
}): { close(): Promise<void> } {
  const watcher = watch(options.path, { ignoreInitial: true });
  watcher.on("all", () => options.onChange());
  watcher.on("ready", () => options.onChange());
  watcher.on("error", (error) =>
    options.log.warn("cannot watch the file", { path: options.path, error }),
  );
  return { close: () => watcher.close() };
}

/** `.git` of a working tree, the repository itself when bare, the shared one of a linked working tree. */
function commonGitDir(path: string): string {
  const dotGit = join(path, ".git");
  const stat = statSync(dotGit, { throwIfNoEntry: false });
  if (stat === undefined) return path;
  if (stat.isDirectory()) return dotGit;
  const linked = /^gitdir: (.+)$/m.exec(readFileSync(dotGit, "utf8"))?.[1];
  if (linked === undefined) return path;
  const gitDir = resolve(path, linked);
  try {
    return resolve(gitDir, readFileSync(join(gitDir, "commondir"), "utf8").trim());
  } catch {
    return dirname(dirname(gitDir));
  }
}
