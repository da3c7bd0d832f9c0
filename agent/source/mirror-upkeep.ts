import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { GitPlace } from "./git-environment.ts";
import { runGit } from "./git-process.ts";

/** A large mirror on a slow disk; git that is ended leaves the repository whole. */
const timeLimitSeconds = 600;

/**
 * Loose objects and packs from which on git repacks; a fetch brings a few objects or one pack. What the ref does not
 * reach goes at once: nobody but the agent uses the mirror, and it never opens an earlier commit.
 */
const limits = [
  ["gc.auto", "1000"],
  ["gc.autoPackLimit", "20"],
  ["gc.autoDetach", "false"],
  ["gc.pruneExpire", "now"],
  ["gc.cruftPacks", "false"],
] as const;

/**
 * Repacks the mirror when git's own estimate says that it is time, under the settings of every other git process
 * here. Must not run while a fetch does: objects that no ref reaches yet would go.
 */
export async function maintainMirror(place: GitPlace, abort: AbortSignal): Promise<void> {
  removeTemporaryPacks(place.gitDir);
  const settings = limits.flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const outcome = await runGit({
    ...place,
    args: [...settings, "gc", "--auto", "--quiet"],
    timeLimitSeconds,
    abort,
    take: () => true,
  });
  if (outcome === "late") {
    throw new Error(`cannot repack the mirror because it takes longer than ${timeLimitSeconds} s`);
  }
}

/** A fetch that was refused or ended in the middle leaves what it had received, and git counts that for nothing. */
function removeTemporaryPacks(gitDir: string): void {
  const directory = join(gitDir, "objects/pack");
  for (const name of readdirSync(directory)) {
    if (name.startsWith("tmp_")) rmSync(join(directory, name), { force: true });
  }
}
