import type { KernelDrift } from "../../runtime/runtime.ts";
import type { Core } from "../core.ts";

/** Counts what was found changed by hand, and tells of it with what differed. */
export function reportDrift(
  { meters, events, index }: Pick<Core, "meters" | "events" | "index">,
  drift: readonly KernelDrift[],
): void {
  for (const { kind, container, target, field, from, to } of drift) {
    meters.drift(kind);
    const app = container === undefined ? undefined : index.find(container)?.app;
    events.record({
      kind: "drift.found",
      ...(app === undefined ? {} : { app }),
      target,
      message: `${target}: ${field} is ${shown(from)} and is put back to ${shown(to)}`,
      fields: { kind, field, from, to },
    });
  }
}

function shown(value: string): string {
  return value === "" ? "nothing" : JSON.stringify(value);
}
