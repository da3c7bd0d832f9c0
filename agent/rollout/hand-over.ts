import type { Core } from "../core.ts";
import type { StepOf } from "../plan/step.ts";
import { StepError } from "../plan/step-error.ts";
import type { Executors } from "./apply.ts";
import { isUp } from "./readiness.ts";

const drainPollMs = 100;

/** How a successor takes the place of a container beside it. */
export function createHandOverExecutors(
  core: Core,
): Pick<Executors, "await-ready" | "hand-over" | "drain-container"> {
  return {
    "await-ready": (step) => awaitReady(core, step),
    "hand-over": (step) => core.locks.run(step.name, () => handOver(core, step)),
    "drain-container": (step, { abort }) => drain(core, step, abort),
  };
}

/** Does not block: the change that makes it ready wakes the loop. */
async function awaitReady(core: Core, { id, name }: StepOf<"await-ready">): Promise<void> {
  const actual = await core.view.observe();
  const container = actual.containers.find((one) => one.id === id);
  if (container !== undefined && isUp(container, core.clock.now())) return;
  throw new StepError("waiting", `waiting for the successor of ${name} to be ready`);
}

async function handOver(core: Core, step: StepOf<"hand-over">): Promise<void> {
  const { id, name, app, from } = step;
  await core.runtime.handOver(from === undefined ? { to: id } : { from, to: id });
  core.events.record({
    kind: "container.took-over",
    app,
    target: name,
    message: `${name} took over from the container before it`,
    fields: { container: id },
  });
}

/** Until no connection through its ports is open, or the time is over: some clients keep theirs for ever. */
async function drain(
  { runtime, clock }: Core,
  { id, timeoutMs }: StepOf<"drain-container">,
  abort: AbortSignal,
): Promise<void> {
  const endMs = clock.now() + timeoutMs;
  while (clock.now() < endMs && (await runtime.openConnections(id)) > 0) {
    await clock.sleep(drainPollMs, abort);
  }
}
