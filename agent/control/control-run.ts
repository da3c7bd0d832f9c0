import type { App } from "../../manifests/desired-state.ts";
import type { OwnerOptions } from "../../runtime/runtime.ts";
import type { ActualContainer } from "../observe.ts";
import { wantedApp } from "../plan/wanted-state.ts";
import type { Round } from "../reconcile.ts";
import { hostProblems, portClashes } from "../rollout/preflight.ts";
import { type EnforcedApp, runRevision } from "../store/rollout-store.ts";
import type { StateStore } from "../store/state-store.ts";
import type { ControlContext } from "./control-context.ts";
import { resolveContainer } from "./control-names.ts";
import { startForOwner } from "./control-operate.ts";
import { takeAway } from "./ended-runs.ts";
import type { RunReport, RunRequest, RunSession, RunWatch } from "./run-control.ts";
import { compileRun, publishExposed } from "./run-source.ts";
import { untilRound } from "./until-round.ts";

const takeAwayMs = 30_000;

export async function runByHand(
  context: ControlContext,
  request: RunRequest,
  watch: RunWatch,
): Promise<RunReport> {
  const { loop } = context;
  const { abort } = watch;
  const { name } = request;
  const { app, after } = await hold(context, request, { started: true, ...watch });
  const begun = await untilRound(loop, { after, abort }, (round) => beginningOf(round, name));
  if (begun.container !== undefined) return { name, id: begun.container.id };
  await takeAway(context, app.name, { volumes: request.remove, abort });
  throw new Error(`cannot run ${name} because it does not start: ${begun.reason}`);
}

/** It is made by the loop, as one that was stopped by hand, and started here once somebody is attached to it. */
export async function runInFront(
  context: ControlContext,
  { request, owner }: { readonly request: RunRequest; readonly owner: OwnerOptions },
  watch: RunWatch,
): Promise<RunSession> {
  const { loop, beginning } = context;
  const { abort } = watch;
  const { name } = request;
  beginning.add(name);
  try {
    const { app, after } = await hold(context, request, { started: false, ...watch });
    try {
      const begun = await untilRound(loop, { after, abort }, (round) => beginningOf(round, name));
      if (begun.container === undefined)
        throw new Error(`cannot run ${name} because it cannot be made: ${begun.reason}`);
      const { id, status } = begun.container;
      const { tty } = status.spec;
      const session = await startForOwner(context, begun.container.name, owner);
      if (!request.remove) return { session, tty, id };
      const exit = session.exit.then((ended) => untilGone(context, app.name, abort, ended));
      return { session: { ...session, exit }, tty, id };
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
  { started, ...watch }: RunWatch & { readonly started: boolean },
): Promise<{ readonly app: App; readonly after: number }> {
  const { core, loop } = context;
  const { name } = request;
  const first = await compileRun(context, { name, source: request.compose });
  requireEnd(first.app, request);
  requireFreeName(context, first.app, name);
  const images = await resolveImages(context, first.app, request.pull, watch);
  const { app, compose } = request.publishAll
    ? await publishExposed(context, first, images)
    : first;
  const enforced: EnforcedApp = { app, revision: runRevision, images };
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
  watch: RunWatch,
): Promise<Record<string, string>> {
  const { images } = core.runtime;
  const digests: Record<string, string> = {};
  for (const { name, image } of app.services) {
    const found = pull === "always" ? undefined : images.find(image);
    if (found === undefined && pull === "never")
      throw new Error(`cannot run ${image} because it is not here: pull or load it first`);
    digests[name] = (found ?? (await images.pull(image, watch))).digest;
  }
  return digests;
}

/** As for a commit: whatever would fail is found before anything is made. */
async function requireHost({ core }: ControlContext, enforced: EnforcedApp): Promise<void> {
  const wanted = wantedApp(enforced);
  const actual = await core.view.observe();
  const present = actual.networks.map(({ name }) => name);
  const missing = wanted.externalNetworks.filter((name) => !present.includes(name));
  if (missing.length > 0) {
    throw new Error(
      `cannot join the network ${missing.join(" and ")} because there ${there(present)}: leave --network out for one of its own, or let an app make it, whose network has the name APP_default`,
    );
  }
  const problems = [
    ...portClashes(wanted, core.enforcement.wanted().apps),
    ...(await hostProblems(wanted, actual, core.host)),
  ];
  if (problems.length > 0) throw new Error(problems.join("; "));
}

function there(names: readonly string[]): string {
  return names.length === 0 ? "is no network" : `are only ${names.toSorted().join(", ")}`;
}
