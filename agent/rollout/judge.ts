import type { Core } from "../core.ts";
import type { ActualState } from "../observe.ts";
import { type WantedApp, wantedApp } from "../plan/wanted-state.ts";
import type { Quarantine, RolloutRecord } from "../store/rollout-store.ts";
import { BoundsWatch } from "./bounds-watch.ts";
import { findEvidence } from "./evidence.ts";
import type { Pacing } from "./pacing.ts";
import type { Gate } from "./promotion.ts";
import { rollBack, wayBack } from "./roll-back.ts";
import { isPromotion } from "./rollout-log.ts";
import type { Rollouts } from "./rollouts.ts";
import { type AppEvaluation, evaluateApp } from "./verdict.ts";
import type { VerdictLog } from "./verdict-log.ts";
import { monitorOf } from "./watch-window.ts";

export type AppStanding = AppEvaluation & { readonly name: string; readonly revision: string };

type Parts = {
  readonly rollouts: Rollouts;
  readonly pacing: Pacing;
  readonly verdicts: VerdictLog;
};

/** Gives every app its verdict at the end of a round, and takes back what failed. */
export class Judge {
  readonly #core: Core;
  readonly #parts: Parts;
  /** Rollout -> when its app was ready for the first time. */
  readonly #readyAtMs = new Map<number, number>();
  #judgedAtMs = Number.NEGATIVE_INFINITY;
  readonly #bounds: BoundsWatch;

  constructor(core: Core, parts: Parts) {
    this.#core = core;
    this.#parts = parts;
    this.#bounds = new BoundsWatch(core);
  }

  async judge(actual: ActualState, gates: ReadonlyMap<string, Gate>): Promise<AppStanding[]> {
    const { enforcement, clock } = this.#core;
    this.#judgedAtMs = clock.now();
    const held = new Map(enforcement.wanted().apps.map((app) => [app.name, app]));
    const desired = enforcement.desired();
    const fresh = (desired?.apps ?? [])
      .filter(({ name }) => !held.has(name))
      .map((app) => wantedApp({ app, revision: desired?.revision ?? "", images: {} }));
    const standings: AppStanding[] = [];
    for (const app of [...held.values(), ...fresh]) {
      standings.push(await this.#judgeApp(app, actual, gates.get(app.name)));
    }
    return standings.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Milliseconds until the time for which some app is watched before its verdict is over, 0 or less where that came since it
   * was judged; undefined: none is watched.
   */
  settlesInMs(): number | undefined {
    const { enforcement, rollouts, clock } = this.#core;
    const endsAtMs = enforcement.wanted().apps.flatMap((app) => {
      const rollout = rollouts.newest(app.name);
      const readyAtMs = rollout === undefined ? undefined : this.#readyAtMs.get(rollout.id);
      if (readyAtMs === undefined || rollout?.verdict !== "pending") return [];
      return readyAtMs + monitorOf(app).beforeVerdictMs;
    });
    const ahead = endsAtMs.filter((atMs) => atMs > this.#judgedAtMs);
    return ahead.length === 0 ? undefined : Math.min(...ahead) - clock.now();
  }

  async #judgeApp(
    app: WantedApp,
    actual: ActualState,
    gate: Gate | undefined,
  ): Promise<AppStanding> {
    const { enforcement, clock } = this.#core;
    const { rollouts, pacing, verdicts } = this.#parts;
    const { name, revision } = app;
    const evaluation = evaluateApp({
      app,
      actual,
      gate,
      trouble: pacing.trouble(name),
      isUnderWay: rollouts.isUnderWay(name),
      nowMs: clock.now(),
      wasHealthy: verdicts.wasHealthy(name),
    });
    const evidence = gate === undefined ? await this.#evidence(app, actual, evaluation) : undefined;
    if (evidence !== undefined && this.#rollBack(name, evidence)) {
      const reason = `${evidence}; it is being rolled back`;
      return { name, revision, ...evaluation, state: "degraded", verdict: "pending", reason };
    }
    const settled = gate === undefined ? this.#settle(app, evaluation) : evaluation;
    const shown = heldBack(
      settled,
      enforcement.quarantine(name),
      enforcement.app(name) !== undefined,
    );
    const state = enforcement.isSuspended(name) ? "suspended" : shown.state;
    return { name, revision, ...shown, state };
  }

  /** The verdict waits for the time that the manifest asks for. */
  #settle(app: WantedApp, evaluation: AppEvaluation): AppEvaluation {
    const rollout = this.#core.rollouts.newest(app.name);
    const nowMs = this.#core.clock.now();
    let settled = evaluation;
    if (rollout?.verdict === "pending" && evaluation.verdict === "healthy") {
      const readyAtMs = Math.min(this.#readyAtMs.get(rollout.id) ?? nowMs, nowMs);
      this.#readyAtMs.set(rollout.id, readyAtMs);
      const leftMs = readyAtMs + monitorOf(app).beforeVerdictMs - nowMs;
      const reason = `ready, and watched for ${Math.ceil(leftMs / 1_000)} s more`;
      if (leftMs > 0) settled = { ...evaluation, verdict: "pending", state: "progressing", reason };
    }
    if (settled.verdict !== "pending" && rollout !== undefined) this.#readyAtMs.delete(rollout.id);
    this.#parts.verdicts.judged(app.name, settled);
    return settled;
  }

  async #evidence(
    app: WantedApp,
    actual: ActualState,
    evaluation: AppEvaluation,
  ): Promise<string | undefined> {
    const { enforcement, rollouts } = this.#core;
    const rollout = rollouts.newest(app.name);
    // What it brought goes already: trouble on the way out says nothing new.
    const isGone = enforcement.app(app.name) === undefined;
    if (isGone && enforcement.quarantine(app.name) !== undefined) return undefined;
    if (rollout === undefined || !isPromotion(rollout.cause)) return undefined;
    const readyAtMs = this.#readyTime(rollout);
    const nowMs = this.#core.clock.now();
    if (!isWatched(rollout, monitorOf(app).afterVerdictMs, nowMs)) return undefined;
    const trouble = this.#parts.pacing.ownTrouble(app.name);
    const oomKills = await this.#oomKills(app, actual);
    const isReady = readyAtMs !== null;
    const usage = await this.#bounds.look(app, actual, { rollout, isReady });
    const before = () => this.#core.state.goodDefinitions(app.name)[0]?.app;
    const seen = { readyAtMs, oomKills, usage, nowMs };
    return findEvidence({ app, actual, evaluation, trouble, rollout, before, ...seen });
  }

  #readyTime(rollout: RolloutRecord): number | null {
    if (rollout.verdict === "healthy") return rollout.finishedAtMs;
    return this.#readyAtMs.get(rollout.id) ?? null;
  }

  async #oomKills(app: WantedApp, actual: ActualState): Promise<ReadonlyMap<string, number>> {
    const { runtime } = this.#core;
    const running = actual.containers.filter(
      (container) => container.app === app.name && container.status.state === "running",
    );
    const kills = running.map(async ({ id }) => [id, await runtime.outOfMemoryKills(id)] as const);
    return new Map(await Promise.all(kills));
  }

  /** False when there is nothing to go back to. */
  #rollBack(failed: string, evidence: string): boolean {
    const { core, parts } = { core: this.#core, parts: this.#parts };
    const back = wayBack(core, failed);
    if (back === undefined) return false;
    const before = [...back.keys()].flatMap((app) => core.rollouts.newest(app) ?? []);
    rollBack(core, back, evidence);
    parts.verdicts.rolledBack(before, back, evidence);
    for (const app of back.keys()) {
      parts.rollouts.cancel(app);
      parts.pacing.forget(app);
    }
    core.wake("rolled back");
    return true;
  }
}

/** Until its verdict, while it is bad, and for a time after a good one. */
function isWatched(rollout: RolloutRecord, afterVerdictMs: number, nowMs: number): boolean {
  if (rollout.verdict !== "healthy") return true;
  const sinceMs = nowMs - (rollout.finishedAtMs ?? nowMs);
  // Below 0 after the clock was set back.
  return sinceMs >= 0 && sinceMs <= afterVerdictMs;
}

/** An app whose newest revision is held back shows that, once what it went back to runs. */
function heldBack(
  evaluation: AppEvaluation,
  quarantine: Quarantine | undefined,
  isHeld: boolean,
): AppEvaluation {
  if (quarantine === undefined) return evaluation;
  const { reason } = evaluation;
  // One that was not here before is gone again: that is how it should be.
  const verdict = isHeld ? evaluation.verdict : "healthy";
  const why = `${quarantine.revision.slice(0, 12)} is held back: ${quarantine.reason}`;
  if (verdict === "healthy") return { ...evaluation, verdict: "rolled-back", reason: why };
  return { ...evaluation, reason: `${why}; what it went back to: ${reason}` };
}
