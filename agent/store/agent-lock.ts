import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/**
 * Makes this process the only agent of a run directory until it ends, however it ends: the lock is SQLite's own
 * fcntl(2) lock on a file of its own, and the kernel drops that with the process. (Node has no flock.)
 */
export function lockAgent(runDir: string): { release(): void } {
  const pidPath = join(runDir, "agent.pid");
  const lock = new DatabaseSync(join(runDir, "agent.lock"), { timeout: 0 });
  try {
    lock.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (cause) {
    lock.close();
    throw new Error(
      `cannot start the agent because another one${pidNote(pidPath)} runs with ${runDir}: ` +
        "stop it, or give this one its own --root and --instance",
      { cause },
    );
  }
  writeFileSync(pidPath, `${process.pid}\n`, { mode: 0o600 });
  return {
    release: () => {
      // While the lock is still held: the next agent's own is not to be taken away.
      rmSync(pidPath, { force: true });
      lock.close();
    },
  };
}

function pidNote(pidPath: string): string {
  try {
    return ` (pid ${readFileSync(pidPath, "utf8").trim()})`;
  } catch {
    return "";
  }
}
