import type { PortBinding } from "../../runtime/container-spec.ts";
import type { ActualContainer, ActualState } from "../observe.ts";
import { diffState, isStoppedByHand } from "../plan/diff.ts";
import { planSteps } from "../plan/plan.ts";
import { stepTarget } from "../plan/step.ts";
import { wantedApp } from "../plan/wanted-state.ts";
import type { Round } from "../reconcile.ts";
import { candidateApp } from "../rollout/promotion.ts";
import { takeOverProblems } from "../rollout/take-over.ts";
import type { RefreshWish } from "../source/source-loop.ts";
import { runRevision } from "../store/rollout-store.ts";
import type { PlanReport, PsEntry, StatusReport, SyncReport, Verdict } from "./control.ts";
import type { ControlContext } from "./control-context.ts";
import { untilRound } from "./until-round.ts";

export function readStatus({ core, loop, source, instance }: ControlContext): StatusReport {
  const { state, enforcement, settings } = core;
  const { fetchedAtMs, error, unreachableSinceMs, errors } = source.state;
  // An app that was taken back since does not run it any more.
  const running = state.fact("revision.running");
  return {
    host: settings().host,
    instance,
    source: {
      url: source.source.displayUrl,
      ref: source.source.ref,
      fetchedAt: isoOrNull(fetchedAtMs),
      error,
      unreachableSince: isoOrNull(unreachableSinceMs),
    },
    wanted: enforcement.desired()?.revision ?? null,
    running: enforcement.isHeldBack(running ?? "") ? null : (running ?? null),
    quarantined: [...new Set(enforcement.quarantines().map(({ revision }) => revision))],
    suspended: [...enforcement.suspensions()].map(([app, sinceMs]) => ({
      app: app === "" ? null : app,
      since: isoOrNull(sinceMs),
    })),
    errors,
    pulls: core.puller.progress(),
    apps: (loop.last?.apps ?? []).map((app) => ({
      name: app.name,
      state: app.state,
      verdict: app.verdict,
      revision: app.revision,
      reason: app.reason,
      crashLooping: app.crashLooping,
      services: app.services,
    })),
  };
}

/** True when the wanted revision runs and is healthy. A newer commit that was refused is not wanted. */
export function isReady(context: ControlContext): boolean {
  const { wanted, running, apps } = readStatus(context);
  const isFollowed = wanted !== null && wanted === running;
  return isFollowed && appsOfGit(context.core, apps).every(({ verdict }) => verdict === "healthy");
}

export async function listContainers(
  { core }: ControlContext,
  options: { readonly all: boolean },
): Promise<PsEntry[]> {
  const actual = await core.view.observe();
  return actual.containers
    .filter(({ status, restartPending }) => options.all || isUp(status.state) || restartPending)
    .map((container) => psEntry(container, actual))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function psEntry(container: ActualContainer, actual: ActualState): PsEntry {
  const { id, name, app, service, replica, revision, status, health, restarts } = container;
  const { state, exit, startedAtMs, createdAtMs } = status;
  const mark = actual.byHand.get(name);
  return {
    id,
    name,
    app,
    service,
    replica,
    image: status.spec.image.reference,
    imageDigest: status.spec.image.digest,
    state: state === "exited" && container.restartPending ? "restarting" : state,
    // A signal is shown as shells do.
    exitCode: exit?.code ?? (exit?.signal === undefined ? null : 128 + exit.signal),
    health,
    restarts: restarts.count,
    ports: status.publishedPorts.toSorted(comparePorts),
    pid: status.pid ?? null,
    ip: status.addresses,
    createdAt: new Date(createdAtMs).toISOString(),
    startedAt: isoOrNull(startedAtMs ?? null),
    revision,
    byHand: mark !== undefined && mark.specDigest === container.specDigest,
  };
}

/** As `docker ps` lists them; a range stays together. */
function comparePorts(a: PortBinding, b: PortBinding): number {
  if (a.protocol !== b.protocol) return a.protocol < b.protocol ? -1 : 1;
  if (a.hostIp !== b.hostIp) return a.hostIp < b.hostIp ? -1 : 1;
  return a.containerPort - b.containerPort || a.hostPort - b.hostPort;
}

/** What the loop would do if everything that it waits for were here. Changes nothing, asks no registry. */
export async function planNow({ core }: ControlContext): Promise<PlanReport> {
  const { enforcement, runtime, view, newContainerId } = core;
  const desired = enforcement.desired();
  if (desired === undefined) {
    throw new Error("cannot plan because no valid revision was fetched yet: see `berth status`");
  }
  const actual = await view.observe();
  const candidates = desired.apps.map((app) => {
    const held = enforcement.app(app.name);
    // What is held back stays as it is until the ref moves, or somebody resumes it.
    const isHeld =
      enforcement.isSuspended(app.name) || enforcement.quarantine(app.name) !== undefined;
    if (isHeld && held !== undefined) return { enforced: held, unresolved: [] };
    const isByHand = enforcement.isByHand(app.name);
    const candidate = candidateApp({ app, desired, held, images: runtime.images, isByHand });
    // What runs by hand and is another than git wants is left alone.
    const isLeft = takeOverProblems(wantedApp(candidate.enforced), enforcement).length > 0;
    return isByHand && isLeft && held !== undefined
      ? { enforced: held, unresolved: [] }
      : candidate;
  });
  const names = new Set(desired.apps.map(({ name }) => name));
  const byHand = enforcement
    .apps()
    .filter(({ app: { name } }) => enforcement.isByHand(name) && !names.has(name));
  const held = [...candidates.map(({ enforced }) => enforced), ...byHand];
  const wanted = { apps: held.map(wantedApp) };
  const difference = diffState(wanted, actual, core.clock.now());
  const pulls = [...new Set(candidates.flatMap(({ unresolved }) => unresolved))].map(
    (reference) => ({
      kind: "pull-image",
      target: reference,
      reason: [{ field: "image", from: null, to: reference }],
    }),
  );
  const steps = planSteps({ difference, wanted, actual, newContainerId })
    .filter(({ step }) => step.app === null || !enforcement.isSuspended(step.app))
    .map(({ step, reason }) => ({ kind: step.kind, target: stepTarget(step), reason }));
  const heldBack = enforcement.quarantines().map(({ app, reason }) => ({
    app,
    runs: enforcement.app(app)?.revision ?? null,
    reason,
  }));
  return { revision: desired.revision, steps: [...pulls, ...steps], heldBack };
}

/** Fetches, reconciles and waits until every app has a verdict (or waits for a maintenance window). */
export async function syncNow(
  context: ControlContext,
  abort: AbortSignal,
  wish: RefreshWish,
): Promise<SyncReport> {
  const { core, loop, source } = context;
  await source.refresh(abort, wish);
  const { error, errors, seen } = source.state;
  if (error !== null) {
    return { revision: seen, verdict: "failed", reason: error, leftAlone: [] };
  }
  if (errors.length > 0) {
    return { revision: seen, verdict: "failed", reason: errors.join("; "), leftAlone: [] };
  }
  loop.forgetFailures();
  const after = loop.roundsBegun;
  loop.trigger("sync");
  const round = await untilRound(loop, { after, abort }, (ended) =>
    isJudged(ended, appsOfGit(core, ended.apps)) ? ended : undefined,
  );
  const { verdict, reason } = overall(appsOfGit(core, round.apps));
  const leftAlone = round.actual.containers
    .filter(({ name }) => {
      const wanted = core.enforcement.container(name);
      return wanted !== undefined && isStoppedByHand(wanted, round.actual.byHand);
    })
    .map(({ name }) => name)
    .sort();
  return { revision: core.enforcement.desired()?.revision ?? null, verdict, reason, leftAlone };
}

/** What is held of an app that still waits for its newest definition says nothing about that. */
function isJudged({ gates }: Round, apps: Round["apps"]): boolean {
  return apps.every(({ name, verdict }) => {
    const kind = gates.get(name)?.kind;
    if (kind === "window" || kind === "suspended") return true;
    return verdict !== "pending" && kind !== "waiting" && kind !== "order";
  });
}

function overall(apps: Round["apps"]): { readonly verdict: Verdict; readonly reason: string } {
  for (const verdict of ["failed", "rolled-back", "pending"] as const) {
    const some = apps.filter((app) => app.verdict === verdict);
    if (some.length === 0) continue;
    return { verdict, reason: some.map(({ name, reason }) => `${name}: ${reason}`).join("; ") };
  }
  return { verdict: "healthy", reason: "" };
}

/** What operators run by hand says nothing about the revision, unless git wants to take it over. */
function appsOfGit<App extends { readonly name: string; readonly revision: string }>(
  { enforcement }: ControlContext["core"],
  apps: readonly App[],
): readonly App[] {
  const wanted = new Set(enforcement.desired()?.apps.map(({ name }) => name));
  return apps.filter(({ name, revision }) => revision !== runRevision || wanted.has(name));
}

function isUp(state: string): boolean {
  return state === "running" || state === "paused";
}

function isoOrNull(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}
