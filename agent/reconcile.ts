import type { ApplyOptions, StepResult } from "./apply.ts";
import { applySteps } from "./apply.ts";
import { backoffMs } from "./backoff.ts";
import type { Core } from "./core.ts";
import { diffState } from "./diff.ts";
import { createExecutors } from "./executors.ts";
import type { HeldFigures } from "./meters.ts";
import type { ActualState } from "./observe.ts";
import { planSteps } from "./plan.ts";
import { type Gate, type Promotion, promoteApps } from "./promotion.ts";
import { stepTarget } from "./step.ts";
import { nextTroubles } from "./troubles.ts";
import { type AppEvaluation, type AppTrouble, evaluateApp, settlesInMs } from "./verdict.ts";
import { VerdictLog } from "./verdict-log.ts";
import { wantedApp } from "./wanted-state.ts";

export type AppStanding = AppEvaluation & { readonly name: string; readonly revision: string };

/** How things stood at the end of a round. */
export type Round = {
  /** Counts from 1. */
  readonly number: number;
  readonly actual: ActualState;
  readonly apps: readonly AppStanding[];
  readonly gates: ReadonlyMap<string, Gate>;
  readonly results: readonly StepResult[];
};

/** How long the host is left alone when nothing happens: drift is found at the latest then. */
const driftCheckMs = 10_000;
const parallelMax = 8;

/**
 * The loop: observe, promote, diff, plan, apply, judge. One round at a time; whatever wakes it during a round leads to
 * exactly one more. A round begins from what is there, so that a lost or a doubled wake does no harm.
 */
export class ReconcileLoop {
  readonly #core: Core;
  readonly #executors: ApplyOptions["executors"];
  readonly #verdicts: VerdictLog;
  readonly #listeners = new Set<(round: Round) => void>();
  readonly #wishes = new Set<string>();
  #wake: () => void = () => {};
  #troubles: ReadonlyMap<string, AppTrouble> = new Map();
  #failures = 0;
  #round: Round | undefined;
  #number = 0;
  #paused = false;
  #inRound: Promise<unknown> = Promise.resolve();

  constructor(core: Core) {
    this.#core = core;
    this.#executors = createExecutors(core);
    this.#verdicts = new VerdictLog(core);
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
    this.#troubles = new Map();
    this.#core.puller.forgetFailures();
  }

  /** Resolves once no round is under way; none begins until `resume`. */
  async pause(): Promise<void> {
    this.#paused = true;
    await this.#inRound;
  }

  resume(): void {
    this.#paused = false;
    this.trigger("resumed");
  }

  /** Runs until the signal; never rejects. */
  async run(abort: AbortSignal): Promise<void> {
    while (!abort.aborted) {
      await this.#idle(abort);
      if (abort.aborted) return;
      if (this.#paused) continue;
      const reasons = [...this.#wishes];
      this.#wishes.clear();
      this.#inRound = this.#guardedRound(reasons, abort);
      await this.#inRound;
    }
  }

  async #idle(abort: AbortSignal): Promise<void> {
    if (this.#wishes.size > 0 && !this.#paused) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    const either = AbortSignal.any([abort, woken.signal]);
    await this.#core.clock.sleep(this.#idleMs(), either).catch(() => {});
    this.#wake = () => {};
  }

  #idleMs(): number {
    if (this.#round === undefined && this.#failures === 0 && !this.#paused) return 0;
    const waits = [driftCheckMs];
    if (this.#failures > 0) {
      const random = this.#core.random();
      waits.push(backoffMs({ failures: this.#failures, firstMs: 1_000, maxMs: 60_000, random }));
    }
    const retryAtMs = this.#core.puller.nextRetryAtMs();
    if (retryAtMs !== undefined) waits.push(Math.max(retryAtMs - this.#core.clock.now(), 100));
    const nowMs = this.#core.clock.now();
    const settling = (this.#round?.actual.containers ?? [])
      .map((container) => settlesInMs(container, nowMs))
      .filter((ms) => ms > 0);
    return Math.min(...waits, ...settling);
  }

  async #guardedRound(reasons: readonly string[], abort: AbortSignal): Promise<void> {
    const { clock, log, meters } = this.#core;
    const startedAtMs = clock.now();
    let result: "changed" | "unchanged" | "failed" = "failed";
    try {
      this.#round = await this.#runRound(abort);
      const outcomes = this.#round.results.map(({ outcome }) => outcome);
      if (!outcomes.some(isTrouble)) {
        result = outcomes.includes("done") ? "changed" : "unchanged";
      }
    } catch (error) {
      log.error("reconcile failed", { error, reasons });
    }
    this.#failures = result === "failed" ? this.#failures + 1 : 0;
    meters.round(result, clock.now() - startedAtMs);
    if (this.#round === undefined) return;
    for (const listener of this.#listeners) listener(this.#round);
  }

  async #runRound(abort: AbortSignal): Promise<Round> {
    const { view, enforcement, newContainerId, meters, puller } = this.#core;
    const number = ++this.#number;
    puller.beginRound();
    let actual = await view.observe();
    const promotion = await this.#promote(actual);
    const wanted = enforcement.wanted();
    const difference = diffState(wanted, actual);
    for (const { kind } of difference.drift) meters.drift(kind);
    const steps = planSteps({ difference, wanted, actual, newContainerId });
    let results: readonly StepResult[] = [];
    if (steps.length > 0) {
      results = await this.#apply(steps, abort);
      actual = await view.observe();
    }
    this.#troubles = nextTroubles(this.#troubles, results);
    const apps = this.#judge(actual, promotion.gates);
    const settled = results.every(({ outcome }) => outcome === "done");
    if (settled && !enforcement.isBehind()) this.#verdicts.running();
    meters.hold(this.#figures(actual, apps));
    return { number, actual, apps, gates: promotion.gates, results };
  }

  async #promote(actual: ActualState): Promise<Promotion> {
    const { enforcement, runtime, puller, host, settings, clock } = this.#core;
    let listeners: ReturnType<typeof host.listeners> | undefined;
    const promotion = await promoteApps({
      enforcement,
      actual,
      images: runtime.images,
      requestPull: (reference) => puller.request(reference),
      host: { ...host, listeners: () => (listeners ??= host.listeners()) },
      windows: settings().windows,
      nowMs: clock.now(),
    });
    this.#verdicts.promoted(promotion);
    return promotion;
  }

  #apply(steps: ApplyOptions["steps"], abort: AbortSignal): ReturnType<typeof applySteps> {
    const { live, clock, log, meters, events, trace } = this.#core;
    const onResult = ({ planned, outcome, durationMs, error }: StepResult) => {
      const { step, reason } = planned;
      const target = stepTarget(step);
      const fields = { kind: step.kind, target, durationMs, outcome };
      meters.step(step.kind, outcome, durationMs);
      if (outcome === "done") {
        // Values may be secrets: names of fields only.
        log.info("step done", { ...fields, changed: reason.map(({ field }) => field).join(",") });
      } else if (isTrouble(outcome)) {
        log.warn("step failed", { ...fields, error });
        const message = `${step.kind} ${target} failed: ${error?.message ?? outcome}`;
        const app = step.app === null ? {} : { app: step.app };
        events.record({ kind: "step.failed", ...app, target, message, fields });
      }
    };
    const executors = this.#executors;
    return applySteps({ steps, executors, live, clock, parallelMax, abort, onResult, trace });
  }

  #judge(actual: ActualState, gates: ReadonlyMap<string, Gate>): AppStanding[] {
    const { enforcement, clock } = this.#core;
    const held = new Map(enforcement.wanted().apps.map((app) => [app.name, app]));
    const desired = enforcement.desired();
    const fresh = (desired?.apps ?? [])
      .filter(({ name }) => !held.has(name))
      .map((app) => wantedApp({ app, revision: desired?.revision ?? "", images: {} }));
    const standings: AppStanding[] = [];
    for (const app of [...held.values(), ...fresh]) {
      const evaluation = evaluateApp({
        app,
        actual,
        gate: gates.get(app.name),
        trouble: this.#troubles.get(app.name) ?? this.#troubles.get(""),
        nowMs: clock.now(),
        wasHealthy: this.#verdicts.wasHealthy(app.name),
      });
      standings.push({ name: app.name, revision: app.revision, ...evaluation });
      if (gates.get(app.name) === undefined) this.#verdicts.judged(app, evaluation);
    }
    return standings.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #figures(actual: ActualState, apps: readonly AppStanding[]): HeldFigures {
    const wanted = this.#core.enforcement.wanted();
    return {
      containersWanted: wanted.apps.flatMap(({ containers }) => containers).length,
      containersRunning: actual.containers.filter(({ status }) => status.state === "running")
        .length,
      apps: apps.map(({ name, revision }) => ({ name, revision })),
    };
  }
}

function isTrouble(outcome: StepResult["outcome"]): boolean {
  return outcome === "stalled" || outcome === "retryable";
}
