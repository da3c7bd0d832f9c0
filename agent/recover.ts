import type { Core } from "./core.ts";
import type { ActualState } from "./observe.ts";
import { isStoppedByHand } from "./plan/diff.ts";
import { forgetContainer } from "./rollout/executors.ts";

/**
 * Takes over from an agent that ended at any moment: half-done steps are finished or undone by the loop, because
 * every step is idempotent; what was being made and is not there is cleared away here. Then exits are listened to,
 * also those of the time without an agent.
 */
export async function recover(core: Core, options: { readonly rebooted: boolean }): Promise<void> {
  const actual = await core.view.observe();
  await settleIntents(core, actual);
  // The first agent of a host finds no sign of an earlier boot either.
  if (options.rebooted && actual.containers.length > 0) recallLostContainers(core, actual);
  core.runtime.onExit((id, exit) => core.supervisor.handleExit(id, exit));
  const unhealthy = core.live.unhealthy();
  for (const { id, status } of actual.containers)
    if (status.state === "running" && unhealthy.has(id)) core.supervisor.handleUnhealthy(id);
}

async function settleIntents(core: Core, actual: ActualState): Promise<void> {
  const { live, runtime, log, events } = core;
  const present = new Set(actual.containers.map(({ id }) => id));
  for (const { id, step, kind, target, containerId } of live.openIntents()) {
    log.warn("a step was cut short", { step });
    const message = `${step} was cut short and is looked at again`;
    events.record({ kind: "step.interrupted", target, message, fields: { kind } });
    if (containerId !== undefined && !present.has(containerId)) {
      if (kind === "create-container") await runtime.removeContainer(containerId);
      if (kind === "remove-container") forgetContainer(core, { id: containerId, name: target });
    }
    live.endIntent(id);
  }
  live.forgetContainersBut(present);
}

/** Whatever ran when the machine went down has an unknown exit. */
function recallLostContainers(core: Core, actual: ActualState): void {
  const { enforcement, live, state, events } = core;
  for (const { id, name, status } of actual.containers) {
    const { exit } = status;
    const unknown = exit?.code === undefined && exit?.signal === undefined;
    if (status.state === "exited" && unknown) live.markLost(id);
    const wanted = enforcement.container(name);
    // As Docker does: `always` forgets a stop by hand at boot, `unless-stopped` does not.
    if (wanted?.service.restart.condition !== "always") continue;
    if (isStoppedByHand(wanted, actual.byHand)) state.unmarkByHand(name);
  }
  const message = "the machine was booted: containers are started again";
  events.record({ kind: "host.booted", target: "host", message });
}
