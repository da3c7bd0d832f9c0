import { writeCompose } from "../../manifests/convert/conversion.ts";
import type { App } from "../../manifests/desired-state.ts";
import type { OwnerOptions, ProcessSession } from "../../runtime/runtime.ts";
import type { ActualContainer } from "../observe.ts";
import { wantedApp } from "../plan/wanted-state.ts";
import type { Round } from "../reconcile.ts";
import { hostProblems, portClashes } from "../rollout/preflight.ts";
import { type EnforcedApp, runRevision } from "../store/rollout-store.ts";
import type { RunSource } from "../store/run-store.ts";
import type { StateStore } from "../store/state-store.ts";
import { compileAlone } from "./compile-run.ts";
import type { ControlContext } from "./control-context.ts";
import { resolveContainer } from "./control-names.ts";
import { startForOwner } from "./control-operate.ts";
import { takeAway } from "./ended-runs.ts";
import type { RunReport, RunRequest } from "./run-control.ts";
import { untilRound } from "./until-round.ts";

const takeAwayMs = 30_000;

export async function runByHand(
  context: ControlContext,
  request: RunRequest,
  abort: AbortSignal,
): Promise<RunReport> {
  const { loop } = context;
  const { name } = request;
  const { app, after } = await hold(context, request, { started: true, abort });
  const begun = await untilRound(loop, { after, abort }, (round) => beginningOf(round, name));
  if (begun.container !== undefined) return { name, id: begun.container.id };
  await takeAway(context, app.name, { volumes: request.remove, abort });
  throw new Error(`cannot run ${name} because it does not start: ${begun.reason}`);
}

/** It is made by the loop, as one that was stopped by hand, and started here once somebody is attached to it. */
export async function runInFront(
  context: ControlContext,
  { request, owner }: { readonly request: RunRequest; readonly owner: OwnerOptions },
  abort: AbortSignal,
): Promise<{ readonly session: ProcessSession; readonly tty: boolean }> {
  const { loop, beginning } = context;
  const { name } = request;
  beginning.add(name);
  try {
    const { app, after } = await hold(context, request, { started: false, abort });
    try {
      const begun = await untilRound(loop, { after, abort }, (round) => beginningOf(round, name));
      if (begun.container === undefined)
        throw new Error(`cannot run ${name} because it cannot be made: ${begun.reason}`);
      const { tty } = begun.container.status.spec;
      const session = await startForOwner(context, begun.container.name, owner);
      if (!request.remove) return { session, tty };
      const exit = session.exit.then((ended) => untilGone(context, app.name, abort, ended));
      return { session: { ...session, exit }, tty };
    } catch (error) {
      const patience = AbortSignal.timeout(takeAwayMs);
      await takeAway(context, app.name, { volumes: true, abort: patience });
      throw error;
    }
  } finally {
    beginning.delete(name);
  }
}

export async function removeByHand(
  context: ControlContext,
  name: string,
  { force, volumes }: { readonly force: boolean; readonly volumes: boolean },
  abort: AbortSignal,
): Promise<void> {
  const { core } = context;
  const container = resolveContainer(await core.view.observe(), name);
  requireByHand(context, container, "remove");
  const { state } = container.status;
  if (!force && (state === "running" || state === "paused" || container.restartPending)) {
    throw new Error(
      `cannot remove ${container.name} because it is ${state}: stop it first, or say --force`,
    );
  }
  await takeAway(context, container.app, { volumes, abort });
  const message = `removal of ${container.name} by hand`;
  const kind = "container.removed-by-hand";
  core.events.record({ kind, app: container.app, target: container.name, message });
}

/** From here on it is wanted, whatever git says. */
async function hold(
  context: ControlContext,
  request: RunRequest,
  { started, abort }: { readonly started: boolean; readonly abort: AbortSignal },
): Promise<{ readonly app: App; readonly after: number }> {
  const { core, loop } = context;
  const { name } = request;
  const compose = await withPresentVolumes(context, request.compose);
  const app = await compileAlone({
    directory: name,
    text: writeCompose({ compose, notes: [] }),
    host: core.settings().host,
  });
  requireEnd(app, request);
  requireFreeName(context, app, name);
  const enforced: EnforcedApp = {
    app,
    revision: runRevision,
    images: await resolveImages(context, app, request.pull, abort),
  };
  await requireHost(context, enforced);
  // It may have been taken while the image was pulled.
  requireFreeName(context, app, name);
  const nowMs = core.clock.now();
  if (!started) markHeld(core.state, enforced, nowMs);
  core.enforcement.run(enforced, compose, { ends: request.remove, nowMs });
  const message = `${name} was run by hand`;
  core.events.record({ kind: "container.run-by-hand", app: app.name, target: name, message });
  const after = loop.roundsBegun;
  loop.trigger("run by hand");
  return { app, after };
}

function markHeld(state: StateStore, enforced: EnforcedApp, atMs: number): void {
  for (const { name, specDigest } of wantedApp(enforced).containers)
    state.markByHand({ name, action: "hold", specDigest, atMs });
}

/** Resolves with `ended` once nothing is left of the app, or nobody waits any more. */
async function untilGone<Ended>(
  { core, loop, removals }: ControlContext,
  app: string,
  abort: AbortSignal,
  ended: Ended,
): Promise<Ended> {
  const patience = AbortSignal.any([abort, AbortSignal.timeout(takeAwayMs)]);
  const after = loop.roundsBegun;
  loop.trigger("run ended");
  const look = () => (core.state.endingRuns().includes(app) ? undefined : true);
  await untilRound(loop, { after, abort: patience }, look).catch(() => {});
  await removals.get(app);
  return ended;
}

/** Throws where git has the container's app. */
export function requireByHand(
  { core }: ControlContext,
  { name, app }: ActualContainer,
  purpose: string,
): void {
  if (core.enforcement.isByHand(app)) return;
  throw new Error(
    `cannot ${purpose} ${name} because git has it, in app ${app}: change it there` +
      (purpose === "remove" ? `, or stop it by hand with 'berth stop ${name}'` : ""),
  );
}

/** Undefined while nobody knows yet. */
function beginningOf(
  round: Round,
  name: string,
): { readonly container: ActualContainer | undefined; readonly reason: string } | undefined {
  const container = round.actual.containers.find((one) => one.name === name);
  const isHeld = round.actual.byHand.has(name) && container?.status.state === "created";
  if (isHeld || container?.status.startedAtMs !== undefined) return { container, reason: "" };
  const standing = round.apps.find((one) => one.name === name);
  if (standing?.verdict !== "failed") return undefined;
  return { container: undefined, reason: standing.reason };
}

/** A volume that is there belongs to who made it. */
async function withPresentVolumes(
  { core }: ControlContext,
  compose: RunSource,
): Promise<RunSource> {
  const { volumes } = compose;
  if (typeof volumes !== "object" || volumes === null) return compose;
  const present = new Set((await core.view.observe()).volumes.map(({ name }) => name));
  const named = Object.entries(volumes).map(([key, value]) => [
    key,
    present.has(key) ? { name: key, external: true } : value,
  ]);
  return { ...compose, volumes: Object.fromEntries(named) };
}

function requireEnd({ services }: App, { remove, name }: RunRequest): void {
  if (!remove || services.every(({ restart }) => restart.condition === "no")) return;
  throw new Error(
    `cannot remove ${name} once it has ended because its restart policy starts it again: leave out one of the two`,
  );
}

function requireFreeName({ core }: ControlContext, app: App, name: string): void {
  const { enforcement } = core;
  const isApp = (one: { readonly name: string }) => one.name === app.name;
  const isTaken =
    enforcement.app(app.name) !== undefined ||
    enforcement.desired()?.apps.some(isApp) === true ||
    enforcement.container(name) !== undefined;
  if (!isTaken) return;
  throw new Error(
    `cannot run ${name} because there is an app or a container of that name: choose another --name` +
      (enforcement.isByHand(app.name) ? `, or remove it with 'berth rm ${name}'` : ""),
  );
}

async function resolveImages(
  { core }: ControlContext,
  app: App,
  pull: RunRequest["pull"],
  abort: AbortSignal,
): Promise<Record<string, string>> {
  const { images } = core.runtime;
  const digests: Record<string, string> = {};
  for (const { name, image } of app.services) {
    const found = pull === "always" ? undefined : images.find(image);
    if (found === undefined && pull === "never")
      throw new Error(`cannot run ${image} because it is not here: pull or load it first`);
    digests[name] = (found ?? (await images.pull(image, { abort }))).digest;
  }
  return digests;
}

/** As for a commit: whatever would fail is found before anything is made. */
async function requireHost({ core }: ControlContext, enforced: EnforcedApp): Promise<void> {
  const wanted = wantedApp(enforced);
  const problems = [
    ...portClashes(wanted, core.enforcement.wanted().apps),
    ...(await hostProblems(wanted, await core.view.observe(), core.host)),
  ];
  if (problems.length > 0) throw new Error(problems.join("; "));
}
