import { setTimeout as sleep } from "node:timers/promises";
import { statusOf } from "../../runtime/oci/container-status.ts";
import { statsOf } from "../../runtime/oci/observe.ts";
import type { StateDirectory } from "../../runtime/oci/state-directory.ts";
import { UsageError } from "./arguments.ts";
import { print } from "./print.ts";

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Prints figures as lines of JSON, again and again until the container has ended. */
export async function followStats(
  directory: StateDirectory,
  options: { readonly once: boolean; readonly interval: string },
): Promise<void> {
  const intervalMs = durationMs(options.interval);
  if (statusOf(directory.read(), directory) === "stopped") {
    throw new Error(`cannot read figures of ${directory.id}: the container is not running`);
  }
  if (options.once) {
    print(`${JSON.stringify(statsOf(directory))}\n`);
    return;
  }
  for (;;) {
    await sleep(intervalMs);
    if (statusOf(directory.read(), directory) === "stopped") return;
    print(`${JSON.stringify(statsOf(directory))}\n`);
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
