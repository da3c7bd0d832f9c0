import { backoffMs } from "./backoff.ts";
import type { Core } from "./core.ts";
import { DriftLooks } from "./drift-looks.ts";
import type { HeldFigures } from "./meters.ts";
import type { ActualState } from "./observe.ts";
import { diffState } from "./plan/diff.ts";
import { driftOutside, needsRestart } from "./plan/drift.ts";
import { planSteps } from "./plan/plan.ts";
import { appsOf, withinScope } from "./plan/scope.ts";
import { splitPlan } from "./plan/split-plan.ts";
import type { StepOutcome } from "./rollout/apply.ts";
import { createExecutors } from "./rollout/executors.ts";
import { type AppStanding, Judge } from "./rollout/judge.ts";
import { Pacing } from "./rollout/pacing.ts";
import { type Gate, type Promotion, promoteApps } from "./rollout/promotion.ts";
import { reportDrift } from "./rollout/report-drift.ts";
import { type Applied, isTrouble, Rollouts } from "./rollout/rollouts.ts";
import { VerdictLog } from "./rollout/verdict-log.ts";
import { RoundTimes } from "./round-times.ts";

/** A pause ends by a wake. */
const pauseMs = 60_000;

/** How things stood at the end of a round. */
export type Round = {
  /** Counts from 1. */
  readonly number: number;
  readonly actual: ActualState;
  readonly apps: readonly AppStanding[];
  readonly gates: ReadonlyMap<string, Gate>;
};

/**
 * The loop: observe, promote, diff, plan, begin to apply, judge. One round at a time; whatever wakes it during a round
 * leads to exactly one more. A round begins from what is there, so that a lost or a doubled wake does no harm. What it
 * begins goes on beside it, app by app: an app under way is left out of rounds until that ended, and then looked at.
 */
export class ReconcileLoop {
  readonly #core: Core;
  readonly #rollouts: Rollouts;
  readonly #pacing: Pacing;
  readonly #verdicts: VerdictLog;
  readonly #judge: Judge;
  readonly #looks: DriftLooks;
  readonly #times: RoundTimes;
  readonly #listeners = new Set<(round: Round) => void>();
  readonly #wishes = new Set<string>();
  /** How steps ended since the last round. */
  readonly #outcomes = new Set<StepOutcome>();
  #hasEnded = false;
  #wake: () => void = () => {};
  #failures = 0;
  #round: Round | undefined;
  #number = 0;
  #paused = false;
  #inRound: Promise<unknown> = Promise.resolve();

  constructor(core: Core) {
    this.#core = core;
    this.#pacing = new Pacing(core);
    this.#looks = new DriftLooks(core.clock);
    this.#times = new RoundTimes(core.clock);
    this.#rollouts = new Rollouts(core, createExecutors(core), (applied) => this.#ended(applied));
    this.#verdicts = new VerdictLog(core);
    this.#judge = new Judge(core, {
      rollouts: this.#rollouts,
      pacing: this.#pacing,
      verdicts: this.#verdicts,
    });
    core.wake = (reason) => this.trigger(reason);
  }

  trigger(reason: string): void {
    this.#wishes.add(reason);
    this.#wake();
  }

  /** The last finished round. */
  get last(): Round | undefined {
    return this.#round;
  }

  /** The number of the newest round, finished or not: whatever is wished for now is seen by the next one. */
  get roundsBegun(): number {
    return this.#number;
  }

  /** Returns the function that ends it. */
  onRound(listener: (round: Round) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** An operator's wish: what failed is tried at once. */
  forgetFailures(): void {
    this.#failures = 0;
    this.#pacing.forgetAll();
    this.#core.puller.forgetFailures();
  }

  /** Something else is wanted of an app (of all of them): what has not begun is not done, and it is looked at anew. */
  supersede(app?: string): void {
    const names =
      app === undefined ? this.#core.enforcement.apps().map((one) => one.app.name) : [app];
    for (const name of names) {
      this.#rollouts.cancel(name);
      this.#pacing.forget(name);
    }
    this.trigger("by hand");
  }

  /** Resolves once nothing is under way; nothing begins until `resume`. */
  async pause(): Promise<void> {
    this.#paused = true;
    await this.#inRound;
    await this.#rollouts.whenIdle();
  }

  resume(): void {
    this.#paused = false;
    this.trigger("resumed");
  }

  /** Runs until the signal, and until what was begun has ended; never rejects. */
  async run(abort: AbortSignal): Promise<void> {
    while (!abort.aborted) {
      await this.#idle(abort);
      if (abort.aborted) break;
      if (this.#paused) continue;
      const reasons = [...this.#wishes];
      // Woken by an end alone: who waits for something else would only ask again for what is not there.
      const isFresh = reasons.length > 0 || !this.#hasEnded || this.#failures > 0;
      this.#wishes.clear();
      this.#hasEnded = false;
      this.#inRound = this.#guardedRound({ reasons, isFresh, abort });
      await this.#inRound;
    }
    await this.#rollouts.whenIdle();
  }

  #ended(applied: Applied): void {
    for (const { outcome } of applied.results) this.#outcomes.add(outcome);
    this.#pacing.ended(applied);
    this.#hasEnded = true;
    this.#wake();
  }

  async #idle(abort: AbortSignal): Promise<void> {
    if ((this.#wishes.size > 0 || this.#hasEnded) && !this.#paused) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    const either = AbortSignal.any([abort, woken.signal]);
    await this.#core.clock.sleep(this.#idleMs(), either).catch(() => {});
    this.#wake = () => {};
  }

  #idleMs(): number {
    const { clock, puller, random } = this.#core;
    if (this.#paused) return pauseMs;
    const looksInMs = this.#looks.dueInMs();
    if (this.#failures > 0) {
      const pace = { failures: this.#failures, firstMs: 1_000, maxMs: 60_000 };
      return Math.min(backoffMs({ ...pace, random: random() }), looksInMs);
    }
    if (this.#round === undefined) return 0;
    const retryAtMs = puller.nextRetryAtMs();
    const waits = [
      looksInMs,
      this.#times.dueInMs(this.#round.actual, this.#pacing.nextTryAtMs()),
      this.#judge.settlesInMs() ?? looksInMs,
      retryAtMs === undefined ? looksInMs : Math.max(retryAtMs - clock.now(), 100),
    ];
    return Math.max(0, Math.min(...waits));
  }

  async #guardedRound(options: RoundOptions) {
    const { clock, log, meters } = this.#core;
    const startedAtMs = clock.now();
    let result: "changed" | "unchanged" | "failed" = "failed";
    try {
      this.#round = await this.#runRound(options);
      const outcomes = [...this.#outcomes];
      this.#outcomes.clear();
      if (!outcomes.some(isTrouble)) result = outcomes.includes("done") ? "changed" : "unchanged";
      this.#failures = 0;
    } catch (error) {
      log.error("reconcile failed", { error, reasons: options.reasons });
      this.#failures += 1;
    }
    meters.round(result, clock.now() - startedAtMs);
    if (this.#round === undefined) return;
    for (const listener of this.#listeners) listener(this.#round);
  }

  async #runRound(options: RoundOptions): Promise<Round> {
    const { view, enforcement, meters, puller } = this.#core;
    const number = ++this.#number;
    this.#times.begin(options.isFresh);
    puller.beginRound();
    const before = await view.observe(this.#looks.begin(options.reasons));
    const { promoted, gates } = await this.#promote(before);
    // What is held now may have another healthcheck, whose first answer counts and not the last one's.
    const actual = promoted.length === 0 ? before : await view.observe({ drift: "known" });
    this.#begin(actual, { ...options, promoted: promoted.map(({ app }) => app.name) });
    const apps = await this.#judge.judge(actual, gates);
    const isSettled = this.#rollouts.isIdle && !this.#pacing.hasTroubles;
    const isWhole = !enforcement.isBehind() && enforcement.quarantines().length === 0;
    if (isSettled && isWhole) this.#verdicts.running();
    meters.hold(this.#figures(actual, apps));
    this.#times.end();
    return { number, actual, apps, gates };
  }

  async #promote(actual: ActualState): Promise<Promotion> {
    const { enforcement, runtime, puller, host, settings, clock } = this.#core;
    let listeners: ReturnType<typeof host.listeners> | undefined;
    const promotion = await promoteApps({
      enforcement,
      actual,
      images: runtime.images,
      requestPull: (reference) => puller.request(reference),
      isFresh: (reference) => puller.isFresh(reference),
      host: { ...host, listeners: () => (listeners ??= host.listeners()) },
      isHealthy: (app) => this.#verdicts.wasHealthy(app),
      windows: settings().windows,
      nowMs: clock.now(),
    });
    this.#verdicts.promoted(promotion);
    for (const app of [...promotion.promoted.map(({ app }) => app.name), ...promotion.removed]) {
      this.#rollouts.cancel(app);
      this.#pacing.forget(app);
    }
    return promotion;
  }

  /** Plans for every app that is neither under way nor left alone after a failure, and begins to apply that. */
  #begin(
    actual: ActualState,
    { isFresh, abort, promoted }: RoundOptions & { readonly promoted: readonly string[] },
  ): void {
    const { enforcement, newContainerId } = this.#core;
    const wanted = enforcement.wanted();
    const isWished = (app: string) => isFresh || promoted.includes(app) || this.#pacing.isDue(app);
    const isSuspended = (app: string) => enforcement.isSuspended(app);
    const isInScope = (app: string) => {
      if (isSuspended(app)) return false;
      if (this.#rollouts.isUnderWay(app)) {
        if (isWished(app)) this.#pacing.miss(app);
        return false;
      }
      return isWished(app) && this.#pacing.mayTry(app);
    };
    const inScope = new Set(appsOf(wanted, actual).filter(isInScope));
    const drift = driftOutside(actual, (app) => !inScope.has(app), isSuspended);
    const whole = diffState(wanted, { ...actual, drift }, this.#core.clock.now());
    const { difference, blocked } = withinScope({
      difference: whole,
      actual,
      isInScope: (app) => inScope.has(app),
      isUnderWay: (app) => this.#rollouts.isUnderWay(app),
    });
    this.#times.hold(whole.heldUntilMs);
    reportDrift(this.#core, [...difference.drift, ...drift.filter(needsRestart)]);
    const parts = splitPlan(planSteps({ difference, wanted, actual, newContainerId }));
    const busy = new Set(parts.flatMap(({ apps }) => [...apps]));
    for (const app of inScope) {
      this.#pacing.looked(app);
      const holder = blocked.get(app);
      if (holder !== undefined) {
        this.#pacing.waits(app, holder);
        this.#pacing.miss(app);
      } else if (!busy.has(app)) this.#pacing.settled(app);
    }
    for (const part of parts) this.#rollouts.begin(part, abort);
  }

  #figures(actual: ActualState, apps: readonly AppStanding[]): HeldFigures {
    const wanted = this.#core.enforcement.wanted();
    return {
      containersWanted: wanted.apps.flatMap(({ containers }) => containers).length,
      containersRunning: actual.containers.filter(({ status }) => status.state === "running")
        .length,
      apps,
      quarantined: this.#core.enforcement.quarantines(),
    };
  }
}

type RoundOptions = {
  readonly reasons: readonly string[];
  /** False: only what was missed is looked at. */
  readonly isFresh: boolean;
  readonly abort: AbortSignal;
};
