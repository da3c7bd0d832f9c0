import type { CommitSha } from "../../manifests/desired-state.ts";
import type { GitPlace } from "./git-environment.ts";
import { runGit } from "./git-process.ts";

/** A regular file (modes 100644 and 100755) of a commit. */
export type TreeEntry = {
  readonly object: string;
  readonly sizeBytes: number;
  readonly executable: boolean;
};

export type CommitTree = {
  readonly files: ReadonlyMap<string, TreeEntry>;
  /** Paths of symbolic links and submodules. */
  readonly others: readonly string[];
};

const entriesMax = 200_000;
const outputBytesMax = 64 * 1_048_576;
/** A list within the limits takes a second; trees of empty trees would be walked for ever without a word. */
const timeLimitSeconds = 30;
const tooLarge = "ECOMMITTOOLARGE";

/**
 * Files of a commit by their paths. A few small trees that name each other again and again stand for billions of
 * files: the list is read while git writes it, and git is killed at the limits. Only regular files count as files
 * here: a symlink's blob is a path that somebody else would resolve, and a submodule is a commit of another
 * repository. Rejects with an error that `isCommitTooLarge` knows when a limit was reached.
 */
export async function readCommitTree(
  place: GitPlace,
  revision: CommitSha,
  abort: AbortSignal,
): Promise<CommitTree> {
  const files = new Map<string, TreeEntry>();
  const others: string[] = [];
  const counted = { entries: 0, bytes: 0 };
  let excess: string | undefined;
  let rest = Buffer.alloc(0);
  const outcome = await runGit({
    ...place,
    args: ["ls-tree", "-r", "-z", "--long", "--full-tree", revision],
    timeLimitSeconds,
    abort,
    take(chunk) {
      counted.bytes += chunk.length;
      if (counted.bytes > outputBytesMax) excess = "its list of files is larger than 64 MiB";
      const end = chunk.lastIndexOf(0) + 1;
      if (end > 0 && excess === undefined) {
        const lines = Buffer.concat([rest, chunk.subarray(0, end - 1)]).toString("utf8");
        rest = Buffer.from(chunk.subarray(end));
        for (const line of lines.split("\0")) {
          counted.entries += 1;
          addEntry({ files, others }, line);
        }
      } else if (excess === undefined) rest = Buffer.concat([rest, chunk]);
      if (counted.entries > entriesMax) excess = `it has more than ${entriesMax} files`;
      return excess === undefined;
    },
  });
  if (outcome === "late") excess = `listing its files takes longer than ${timeLimitSeconds} s`;
  if (excess !== undefined) throw commitTooLarge(revision, excess);
  return { files, others };
}

export function isCommitTooLarge(error: unknown): error is Error {
  return error instanceof Error && "code" in error && error.code === tooLarge;
}

function commitTooLarge(revision: CommitSha, reason: string): Error {
  const message = `cannot read commit ${revision.slice(0, 12)} because ${reason}: a smaller repository is expected`;
  return Object.assign(new Error(message), { code: tooLarge });
}

function addEntry(
  { files, others }: { readonly files: Map<string, TreeEntry>; readonly others: string[] },
  line: string,
): void {
  const match = /^(\d{6}) (?:blob|commit) ([0-9a-f]+) +(\d+|-)\t([\s\S]+)$/.exec(line);
  const [, mode = "", object, size, path] = match ?? [];
  // U+FFFD: a name that is not UTF-8 cannot be asked for by name.
  if (object === undefined || path === undefined || path.includes("\uFFFD")) return;
  if (mode !== "100644" && mode !== "100755") others.push(path);
  else files.set(path, { object, sizeBytes: Number(size), executable: mode === "100755" });
}
