import type { Core } from "../core.ts";
import { wantedApp } from "../plan/wanted-state.ts";
import type { EnforcedApp } from "../store/rollout-store.ts";
import { isSameApp, type Return } from "./enforcement.ts";
import { portClashes } from "./preflight.ts";

type RollBackCore = Pick<Core, "enforcement" | "state" | "rollouts" | "clock">;

/** App -> the definition that it is taken back to; undefined: it was not here before, and goes. */
export type WayBack = ReadonlyMap<string, EnforcedApp | undefined>;

/**
 * What has to go back when an app fails: the app; with `atomic: revision` every app that the same revision changed; and
 * who has taken a port that one of them had. What the failed revision brought to this host goes again with it. Undefined
 * when the app that failed has nothing to go back to, or an app of an earlier revision would have to go for it.
 */
export function wayBack(core: RollBackCore, failed: string): WayBack | undefined {
  const { enforcement } = core;
  const isWhole = enforcement.desired()?.atomic === "revision";
  const targets = new Map<string, EnforcedApp | undefined>();
  const open = [failed, ...(isWhole ? siblings(core, failed) : [])];
  for (const name of open) {
    if (targets.has(name)) continue;
    const target = lastGood(core, name, [...targets.values()]);
    const mayGo = isWhole || (name !== failed && isOfNewestRevision(core, name));
    if (target === undefined && !mayGo) return undefined;
    targets.set(name, target);
    const expanded = [...targets.values()].filter((kept) => kept !== undefined).map(wantedApp);
    for (const held of enforcement.wanted().apps) {
      if (targets.has(held.name)) continue;
      if (portClashes(held, expanded).length > 0) open.push(held.name);
    }
  }
  return targets;
}

/** Takes them all back in one transaction; the revision is held back for them until the ref moves. */
export function rollBack(core: RollBackCore, back: WayBack, evidence: string): void {
  const { enforcement, rollouts, clock } = core;
  const nowMs = clock.now();
  const revision = enforcement.desired()?.revision ?? "";
  const returns = [...back].map(
    ([app, target]): Return => ({
      app,
      target,
      cause: "rollback",
      quarantine: { app, revision, reason: evidence },
      nowMs,
    }),
  );
  enforcement.goBack(returns, () => {
    for (const app of back.keys()) {
      rollouts.finish(app, { verdict: "rolled-back", reason: evidence, finishedAtMs: nowMs });
    }
  });
}

function siblings(core: RollBackCore, failed: string): string[] {
  const names = (core.enforcement.desired()?.apps ?? []).map(({ name }) => name);
  return names.filter((name) => name !== failed && isOfNewestRevision(core, name));
}

function isOfNewestRevision({ enforcement, rollouts }: RollBackCore, name: string): boolean {
  const newest = rollouts.newest(name);
  return newest?.cause === "commit" && newest.revision === enforcement.desired()?.revision;
}

/**
 * The newest definition that was healthy here, is another than the one that failed, and has no port that one of those who
 * go back before it has: what was good at different times need not fit together.
 */
function lastGood(
  { enforcement, state }: RollBackCore,
  name: string,
  before: readonly (EnforcedApp | undefined)[],
): EnforcedApp | undefined {
  const held = enforcement.app(name);
  const taken = before.filter((kept) => kept !== undefined).map(wantedApp);
  return state
    .goodDefinitions(name)
    .filter((good) => held === undefined || !isSameDefinition(good, held))
    .find((good) => portClashes(wantedApp(good), taken).length === 0);
}

function isSameDefinition(one: EnforcedApp, other: EnforcedApp): boolean {
  const digests = (of: EnforcedApp) => JSON.stringify(Object.entries(of.images).sort());
  return isSameApp(one.app, other.app) && digests(one) === digests(other);
}
