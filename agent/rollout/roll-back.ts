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
 * who has taken a port that one of them had. Undefined when one of them has nothing to go back to and stays alone.
 */
export function wayBack(core: RollBackCore, failed: string): WayBack | undefined {
  const { enforcement } = core;
  const isWhole = enforcement.desired()?.atomic === "revision";
  const targets = new Map<string, EnforcedApp | undefined>();
  const open = [failed, ...siblings(core, failed)];
  for (const name of open) {
    if (targets.has(name)) continue;
    const target = lastGood(core, name);
    if (target === undefined && !isWhole) return undefined;
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

function siblings({ enforcement, rollouts }: RollBackCore, failed: string): string[] {
  const desired = enforcement.desired();
  if (desired?.atomic !== "revision") return [];
  return desired.apps
    .map(({ name }) => name)
    .filter((name) => {
      const newest = rollouts.newest(name);
      return name !== failed && newest?.revision === desired.revision && newest.cause === "commit";
    });
}

/** The newest definition that was healthy here and is another than the one that failed. */
function lastGood({ enforcement, state }: RollBackCore, name: string): EnforcedApp | undefined {
  const held = enforcement.app(name);
  return state
    .goodDefinitions(name)
    .find((good) => held === undefined || !isSameDefinition(good, held));
}

function isSameDefinition(one: EnforcedApp, other: EnforcedApp): boolean {
  const digests = (of: EnforcedApp) => JSON.stringify(Object.entries(of.images).sort());
  return isSameApp(one.app, other.app) && digests(one) === digests(other);
}
