import { spawn } from "node:child_process";
import type { GitPlace } from "./git-environment.ts";

export type GitRun = GitPlace & {
  readonly args: readonly string[];
  readonly timeLimitSeconds: number;
  readonly abort: AbortSignal;
  /** Sees the output as it comes, nothing is kept of it; false ends git. */
  readonly take: (chunk: Buffer) => boolean;
};

const errorBytesMax = 2_000;
/** What timeout(1) exits with when the limit was reached. */
const lateStatus = 124;

/**
 * Runs git on the mirror. Resolves with "done", "stopped" (by `take`) or "late" (by the time limit), and rejects
 * when git failed or the signal came. git is the leader of a process group under timeout(1): the limit holds even
 * when the agent dies meanwhile, and whatever git started ends with it.
 */
export async function runGit(run: GitRun): Promise<"done" | "stopped" | "late"> {
  run.abort.throwIfAborted();
  const limit = ["--kill-after=2", String(run.timeLimitSeconds)];
  const child = spawn("timeout", [...limit, "git", "--git-dir", run.gitDir, ...run.args], {
    env: run.environment,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const endGroup = () => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    process.kill(-child.pid, "SIGKILL");
  };
  let stopped = false;
  let complaint = "";
  child.stdout.on("data", (chunk: Buffer) => {
    if (stopped || run.take(chunk)) return;
    stopped = true;
    endGroup();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    if (complaint.length < errorBytesMax) complaint += chunk.toString("utf8");
  });
  run.abort.addEventListener("abort", endGroup, { once: true });
  try {
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    run.abort.throwIfAborted();
    if (stopped) return "stopped";
    if (status === lateStatus) return "late";
    if (status === 0) return "done";
    const reason = complaint.slice(0, errorBytesMax).trim();
    throw new Error(`cannot run git ${run.args[0] ?? ""} because ${reason || "it was killed"}`);
  } finally {
    run.abort.removeEventListener("abort", endGroup);
  }
}
