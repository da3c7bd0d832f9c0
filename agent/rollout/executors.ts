import type { Core } from "../core.ts";
import { isStoppedByHand } from "../plan/diff.ts";
import type { StepOf } from "../plan/step.ts";
import { StepError } from "../plan/step-error.ts";
import type { WantedContainer } from "../plan/wanted-state.ts";
import type { CreationReason } from "../store/live-store.ts";
import type { Executors } from "./apply.ts";
import { isConditionMet } from "./conditions.ts";
import { createHandOverExecutors } from "./hand-over.ts";

/** What each kind of step does. All of them may be done twice. */
export function createExecutors(core: Core): Executors {
  const { runtime } = core;
  return {
    "create-network": async ({ network }) => {
      await runtime.ensureNetwork(network);
    },
    "remove-network": ({ network }) => runtime.removeNetwork(network),
    "create-volume": async ({ volume }) => {
      await runtime.ensureVolume(volume);
    },
    "await-condition": (step) => awaitCondition(core, step),
    "create-container": (step, { planned }) =>
      core.locks.run(step.wanted.name, () => createContainer(core, step, planned.reason)),
    "start-container": (step) => core.locks.run(step.name, () => startContainer(core, step)),
    ...createHandOverExecutors(core),
    "reload-container": (step, { planned }) =>
      core.locks.run(step.name, () => reloadContainer(core, step, planned.reason)),
    "stop-container": (step, { abort }) =>
      core.locks.run(step.name, () => stopContainer(core, step, abort)),
    "remove-container": (step) => core.locks.run(step.name, () => removeContainer(core, step)),
    repair: ({ drift }) => runtime.repair(drift),
  };
}

/** Does not block: an unmet condition ends the chain, and the change that meets it wakes the loop. */
async function awaitCondition(core: Core, step: StepOf<"await-condition">): Promise<void> {
  const app = core.enforcement.wanted().apps.find(({ name }) => name === step.app);
  const replicas = app?.containers.filter(({ service }) => service.name === step.service) ?? [];
  const actual = await core.view.observe();
  if (isConditionMet(step.condition, replicas, actual)) return;
  const what = step.condition === "service_healthy" ? "be healthy" : "complete";
  throw new StepError("waiting", `waiting for ${step.app}/${step.service} to ${what}`);
}

async function createContainer(
  core: Core,
  step: StepOf<"create-container">,
  reason: CreationReason["reason"],
): Promise<void> {
  const { runtime, index, events } = core;
  const { id, app, wanted, heldBack = false } = step;
  requireWanted(core, wanted);
  requireImage(core, wanted);
  forgetMarks(core, wanted);
  const revision = core.enforcement.app(app)?.revision ?? "";
  await withReason(core, { id, revision, reason }, () =>
    runtime.createContainer({ ...wanted.spec, id }, { heldBack }),
  );
  const { name, specDigest, service } = wanted;
  index.put({ id, name, app, service: service.name, specDigest, startedAtMs: undefined });
  const fields = { container: id, revision, changed: reason.map(({ field }) => field) };
  events.record({
    kind: "container.created",
    app,
    target: name,
    message: `${name} was created`,
    fields,
  });
}

/** The reason comes first: after a kill in between nothing else would tell why the container is as it is. */
async function withReason(
  { live, clock }: Core,
  why: {
    readonly id: string;
    readonly revision: string;
    readonly reason: CreationReason["reason"];
  },
  change: () => Promise<void>,
): Promise<void> {
  const { id, revision, reason } = why;
  const before = live.reason(id);
  live.setReason(id, { revision, atMs: clock.now(), reason });
  try {
    await change();
  } catch (error) {
    if (before === undefined) live.forgetReason(id);
    else live.setReason(id, before);
    throw error;
  }
}

/** A verdict or a newer revision may have come since the step began: it waited for its turn. */
function requireWanted(
  { enforcement }: Core,
  { name, specDigest }: { readonly name: string; readonly specDigest: string | undefined },
): void {
  if (enforcement.container(name)?.specDigest === specDigest) return;
  throw new StepError("waiting", `something else is wanted of ${name} by now`);
}

/** An image that was removed by hand since it was resolved comes back by its digest. */
function requireImage(core: Core, wanted: WantedContainer): void {
  const { reference, digest } = wanted.spec.image;
  if (core.runtime.images.find(digest) !== undefined) return;
  if (wanted.service.pullPolicy === "never")
    throw new StepError(
      "stalled",
      `the image ${reference} is not here any more, and pull_policy: never keeps it from being pulled: load it`,
    );
  const [name] = reference.split("@");
  const pinned = `${name?.replace(/:[^:/]*$/, "") ?? reference}@${digest}`;
  const pull = core.puller.request(pinned);
  throw new StepError(
    "waiting",
    pull.kind === "failed" ? pull.error : `waiting for the image ${pinned} to be pulled`,
  );
}

/** What was done by hand, or completed, was done to an earlier definition. */
function forgetMarks(core: Core, wanted: WantedContainer): void {
  const mark = core.state.byHandMarks().find(({ name }) => name === wanted.name);
  if (mark !== undefined && mark.specDigest !== wanted.specDigest) {
    core.state.unmarkByHand(wanted.name);
  }
  const completed = core.state.completed().get(wanted.name);
  if (completed !== undefined && completed !== wanted.specDigest) {
    core.state.unmarkCompleted(wanted.name);
  }
}

async function startContainer(core: Core, step: StepOf<"start-container">): Promise<void> {
  const { runtime, supervisor, events, enforcement } = core;
  const { id, name, app } = step;
  const wanted = enforcement.container(name);
  const byHand = new Map(core.state.byHandMarks().map((mark) => [mark.name, mark]));
  // An operator may have stopped it since the plan was made.
  if (wanted !== undefined && isStoppedByHand(wanted, byHand)) return;
  requireWanted(core, { name, specDigest: core.index.find(id)?.specDigest });
  supervisor.expectRunning(id);
  core.index.started(id, core.clock.now());
  const { startedAtMs } = await runtime.startContainer(id);
  core.started(id, startedAtMs);
  const message = `${name} was started`;
  events.record({
    kind: "container.started",
    app,
    target: name,
    message,
    fields: { container: id },
  });
}

async function reloadContainer(
  core: Core,
  step: StepOf<"reload-container">,
  reason: CreationReason["reason"],
): Promise<void> {
  const { runtime, index, events } = core;
  const { id, name, app, specDigest, reload } = step;
  requireWanted(core, { name, specDigest });
  const revision = core.enforcement.app(app)?.revision ?? "";
  await withReason(core, { id, revision, reason }, () => runtime.reloadContainer(id, reload));
  const known = index.find(id);
  if (known !== undefined) index.put({ ...known, specDigest });
  const fields = {
    container: id,
    revision,
    signal: reload.signal,
    changed: reload.mounts.map(({ target }) => target),
  };
  const message = `${name} was given its changed files and ${reload.signal}`;
  events.record({ kind: "container.reloaded", app, target: name, message, fields });
}

async function stopContainer(
  core: Core,
  step: StepOf<"stop-container">,
  abort: AbortSignal,
): Promise<void> {
  const { id, graceMs } = step;
  core.supervisor.expectStop(id);
  core.health.unwatch(id);
  await core.runtime.stopContainer(id, { graceMs, abort });
}

async function removeContainer(core: Core, step: StepOf<"remove-container">): Promise<void> {
  const { id, name, app } = step;
  // A restart of its policy that is due must not bring it back in between.
  core.supervisor.expectStop(id);
  await core.runtime.removeContainer(id);
  core.events.record({
    kind: "container.removed",
    app,
    target: name,
    message: `${name} was removed`,
    fields: { container: id },
  });
  forgetContainer(core, { id, name });
}

/** What the agent remembers of a container that the runtime has removed. Idempotent. */
export function forgetContainer(
  core: Core,
  { id, name }: { readonly id: string; readonly name: string },
): void {
  const { supervisor, health, live, index, state, enforcement } = core;
  supervisor.forget(id);
  health.unwatch(id);
  live.forgetReason(id);
  index.remove(id);
  if (live.lost().has(id)) live.unmarkLost(id);
  if (enforcement.container(name) === undefined) {
    if (state.byHandMarks().some((mark) => mark.name === name)) state.unmarkByHand(name);
    if (state.completed().has(name)) state.unmarkCompleted(name);
  }
}
