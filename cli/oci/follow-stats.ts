import { setTimeout as sleep } from "node:timers/promises";
import { statusOf } from "../../runtime/oci/container-status.ts";
import { MissingContainerError, type StateDirectory } from "../../runtime/oci/state-directory.ts";
import { oomCounter, statsOf } from "../../runtime/oci/stats.ts";
import { UsageError } from "./arguments.ts";
import { print } from "./print.ts";

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** How soon a kill for lack of memory is told, at the latest. */
const oomPollMs = 250;

/** Prints figures and kills for lack of memory as lines of JSON, again and again until the container has ended. */
export async function followStats(
  directory: StateDirectory,
  options: { readonly once: boolean; readonly interval: string },
): Promise<void> {
  const intervalMs = durationMs(options.interval);
  if (hasEnded(directory)) {
    throw new Error(`cannot read figures of ${directory.id}: the container is not running`);
  }
  if (options.once) {
    printLine(statsOf(directory));
    return;
  }
  const countKills = oomCounter(directory);
  let kills = countKills();
  let due = performance.now() + intervalMs;
  for (;;) {
    await sleep(Math.min(oomPollMs, Math.max(0, due - performance.now())));
    const now = countKills();
    if (now > kills) printLine({ type: "oom", id: directory.id });
    kills = now;
    if (hasEnded(directory)) return;
    if (performance.now() < due) continue;
    due = performance.now() + intervalMs;
    printLine(statsOf(directory));
  }
}

function printLine(event: unknown): void {
  print(`${JSON.stringify(event)}\n`);
}

/** Deleted is ended, too. */
function hasEnded(directory: StateDirectory): boolean {
  try {
    return statusOf(directory.read(), directory) === "stopped";
  } catch (error) {
    if (error instanceof MissingContainerError) return true;
    throw error;
  }
}

function durationMs(text: string): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(number) * (unitsMs[unit] ?? 0);
  if (ms > 0) return ms;
  throw new UsageError(
    `cannot use the interval ${text}: a duration above 0 such as 5s is expected`,
  );
}
