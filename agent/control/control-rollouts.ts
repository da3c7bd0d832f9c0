import type { Core } from "../core.ts";
import { isSameApp } from "../rollout/enforcement.ts";
import { candidateApp } from "../rollout/promotion.ts";
import type { EnforcedApp, RolloutRecord } from "../store/rollout-store.ts";
import type { ControlContext } from "./control-context.ts";
import { resolveContainer } from "./control-names.ts";
import { NotFoundError } from "./not-found-error.ts";
import type { RolloutReport, WhyReport } from "./rollout-control.ts";

export async function rollBackByHand(
  { core, loop }: ControlContext,
  { app, to }: { readonly app: string; readonly to?: string },
): Promise<RolloutReport> {
  const { enforcement, rollouts, clock, events } = core;
  const held = requireApp(core, app);
  const target = to === undefined ? before(core, held) : known(core, held, to);
  requireImages(core, target);
  const desired = enforcement.desired();
  const wanted = desired?.apps.find(({ name }) => name === app);
  const isWanted = wanted !== undefined && isSameApp(wanted, target.app);
  const quarantine = {
    app,
    revision: desired?.revision ?? held.revision,
    reason: "an operator chose another revision",
  };
  enforcement.goBack([
    {
      app,
      target,
      cause: "by-hand",
      quarantine: isWanted ? undefined : quarantine,
      nowMs: clock.now(),
    },
  ]);
  const message = `${app} goes to ${target.revision.slice(0, 12)} by hand`;
  const fields = { revision: target.revision };
  events.record({ kind: "rollout.by-hand", app, target: app, message, fields });
  loop.supersede(app);
  return toReport(core, requireRollout(rollouts.newest(app)));
}

export async function suspend({ core, loop }: ControlContext, app?: string): Promise<void> {
  if (app !== undefined) requireApp(core, app);
  core.enforcement.suspend(app ?? "", core.clock.now());
  const message = `${app ?? "every app"} is left alone from now on`;
  core.events.record({ kind: "app.suspended", target: app ?? "host", message });
  loop.supersede(app);
}

export async function resume({ core, loop }: ControlContext, app?: string): Promise<void> {
  if (app !== undefined) requireApp(core, app);
  core.enforcement.resume(app ?? "");
  const message = `${app ?? "every app"} is looked after again`;
  core.events.record({ kind: "app.resumed", target: app ?? "host", message });
  loop.forgetFailures();
  loop.trigger("resumed by hand");
}

export async function readHistory(
  { core }: ControlContext,
  app?: string,
): Promise<readonly RolloutReport[]> {
  return core.state
    .rollouts()
    .filter((rollout) => app === undefined || rollout.app === app)
    .map((rollout) => toReport(core, rollout))
    .toReversed();
}

export async function explain({ core }: ControlContext, name: string): Promise<WhyReport> {
  const container = resolveContainer(await core.view.observe(), name);
  const { id, app, revision, restarts, status } = container;
  const rollout = core.rollouts.newest(app);
  const { failure } = restarts;
  return {
    container: container.name,
    app,
    id,
    revision,
    commit: core.state.commitOf(revision),
    createdAt: new Date(status.createdAtMs).toISOString(),
    reason: core.live.reason(id)?.reason ?? [],
    restarts: restarts.count,
    failure:
      failure === undefined ? null : { at: new Date(failure.atMs).toISOString(), how: failure.how },
    rollout: rollout === undefined ? null : toReport(core, rollout),
  };
}

function requireApp({ enforcement }: Core, name: string): EnforcedApp {
  const held = enforcement.app(name);
  if (held !== undefined) return held;
  const names = enforcement.apps().map(({ app }) => app.name);
  const there = names.length === 0 ? "there are none" : `there are ${names.join(", ")}`;
  throw new NotFoundError(`cannot find an app ${name}: ${there}`);
}

/** The newest good definition that is another than what is held. */
function before({ state }: Core, held: EnforcedApp): EnforcedApp {
  const { name } = held.app;
  const good = state.goodDefinitions(name).find((one) => !isSameApp(one.app, held.app));
  if (good !== undefined) return good;
  throw new Error(
    `cannot roll ${name} back because no other revision of it was healthy here: name one with --to`,
  );
}

function known(core: Core, held: EnforcedApp, to: string): EnforcedApp {
  const { state, runtime } = core;
  const { name } = held.app;
  const tried = state.knownDefinitions(name);
  const same = tried.find(({ revision }) => revision.startsWith(to));
  if (same !== undefined) return same;
  const desired = state.findRevision(to);
  const app = desired?.apps.find((one) => one.name === name);
  if (desired === undefined || app === undefined) {
    const shas = [...new Set(tried.map(({ revision }) => revision.slice(0, 12)))].join(", ");
    throw new Error(
      `cannot roll ${name} back to ${to} because that revision of it is not known here: known are ${shas}`,
    );
  }
  const pinned = tried.find((one) => isSameApp(one.app, app));
  if (pinned !== undefined) return { ...pinned, revision: desired.revision };
  return candidateApp({ app, desired, held, images: runtime.images }).enforced;
}

function requireImages({ runtime }: Core, { app, images }: EnforcedApp): void {
  const missing = app.services.filter(({ name }) => {
    const digest = images[name];
    return digest === undefined || runtime.images.find(digest) === undefined;
  });
  if (missing.length === 0) return;
  const names = missing.map(({ image }) => image).join(", ");
  throw new Error(
    `cannot roll ${app.name} back because its images are not here any more: pull ${names}`,
  );
}

function requireRollout(rollout: RolloutRecord | undefined): RolloutRecord {
  if (rollout === undefined) throw new Error("a rollout was begun and is not there: a defect");
  return rollout;
}

function toReport(
  { state }: Pick<Core, "state">,
  { id, startedAtMs, finishedAtMs, ...rest }: RolloutRecord,
): RolloutReport {
  return {
    ...rest,
    startedAt: new Date(startedAtMs).toISOString(),
    finishedAt: finishedAtMs === null ? null : new Date(finishedAtMs).toISOString(),
    steps: state
      .rolloutSteps(id)
      .map(({ startedAtMs: beganAtMs, durationMs: tookMs, ...step }) => ({
        ...step,
        startedAt: new Date(beganAtMs).toISOString(),
        tookMs,
      })),
  };
}
