import type { ControlContext } from "../../agent/control/control-context.ts";
import type { SimulatedHost } from "../simulation/simulated-host.ts";

/** All that the control of rollouts looks at. `refresh`: what a fetch finds. */
export function controlOf(
  host: SimulatedHost,
  refresh: () => Promise<void> = async () => {},
): ControlContext {
  const source = {
    refresh,
    state: { error: null, errors: [], seen: null, fetchedAtMs: null, unreachableSinceMs: null },
    source: { displayUrl: "/repo", ref: "main" },
  };
  const { core, loop } = host;
  // What is left out is asked for by others.
  return { core, loop, source, instance: "berth" } as unknown as ControlContext;
}
