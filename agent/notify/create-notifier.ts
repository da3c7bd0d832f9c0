import type { Core } from "../core.ts";
import { Notifier } from "./notifier.ts";
import { send } from "./send.ts";

/** Tells of the agent's own events; what was told is remembered beside its state. */
export function createNotifier({ events, state, clock, random, log, settings }: Core): Notifier {
  const told = {
    read(target: string) {
      const id = state.fact(`notified.${target}`);
      return id === undefined ? undefined : Number(id);
    },
    write: (target: string, id: number) => state.setFact(`notified.${target}`, String(id)),
  };
  return new Notifier({ events, told, clock, random, log, host: () => settings().host, send });
}
