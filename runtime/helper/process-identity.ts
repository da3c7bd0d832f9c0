import { readFileSync } from "node:fs";
import type { ProcessIdentity } from "./launcher.ts";

/** True while the very process lives: the same pid with the same start time (proc_pid_stat(5), field 22). */
export function isAlive(identity: ProcessIdentity): boolean {
  return readIdentity(identity.pid)?.startTime === identity.startTime;
}

/** Undefined when no process has this pid. */
export function readIdentity(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field, in parentheses, may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, startTime] = [fields[0], fields[19]];
    if (startTime === undefined || state === "Z" || state === "X") return undefined;
    return { pid, startTime: BigInt(startTime) };
  } catch {
    return undefined;
  }
}
