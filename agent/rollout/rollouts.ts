import type { Core } from "../core.ts";
import type { PlanPart } from "../plan/split-plan.ts";
import { type PlannedStep, type StepKind, stepTarget } from "../plan/step.ts";
import type { RolloutStep } from "../store/deploy-record.ts";
import { applySteps, type Executors, type StepResult } from "./apply.ts";
import { noteBefore } from "./bounds-watch.ts";
import { createSlots } from "./slots.ts";

/** How a part of a plan ended. */
export type Applied = {
  readonly apps: ReadonlySet<string>;
  readonly results: readonly StepResult[];
  /** Something newer was wanted meanwhile: what failed says nothing about that. */
  readonly isOutdated: boolean;
};

type UnderWay = { readonly cancel: AbortController; readonly done: Promise<void> };

/** Steps of one part that run side by side at most, and steps of the host that keep it busy. */
const parallelMax = 8;
const waitingKinds: ReadonlySet<StepKind> = new Set([
  "stop-container",
  "drain-container",
  "await-condition",
  "await-ready",
]);

/**
 * Parts of plans that are being applied, side by side: an app is in one of them at most, so that the slow stop of one app
 * holds up no other.
 */
export class Rollouts {
  readonly #core: Core;
  readonly #executors: Executors;
  readonly #onEnd: (applied: Applied) => void;
  readonly #underWay = new Map<string, UnderWay>();

  constructor(core: Core, executors: Executors, onEnd: (applied: Applied) => void) {
    this.#core = core;
    this.#executors = withSlots(executors);
    this.#onEnd = onEnd;
  }

  isUnderWay(app: string): boolean {
    return this.#underWay.has(app);
  }

  get isIdle(): boolean {
    return this.#underWay.size === 0;
  }

  /** None of its apps may be under way. Never rejects; `onEnd` is told. */
  begin(part: PlanPart, abort: AbortSignal): void {
    const cancel = new AbortController();
    const done = this.#apply(part.steps, abort, cancel.signal).then((results) => {
      for (const app of part.apps) this.#underWay.delete(app);
      this.#record(part.apps, results);
      this.#onEnd({ apps: part.apps, results, isOutdated: cancel.signal.aborted });
    });
    for (const app of part.apps) {
      if (this.#underWay.has(app)) throw new Error(`${app} is under way already: a defect`);
      this.#underWay.set(app, { cancel, done });
    }
  }

  /** Steps of the app that have not begun are not done any more. */
  cancel(app: string): void {
    this.#underWay.get(app)?.cancel.abort(new Error("something newer is wanted"));
  }

  async whenIdle(): Promise<void> {
    while (!this.isIdle) await Promise.all([...this.#underWay.values()].map(({ done }) => done));
  }

  async #apply(
    steps: readonly PlannedStep[],
    abort: AbortSignal,
    cancel: AbortSignal,
  ): Promise<StepResult[]> {
    const { live, clock, trace, log } = this.#core;
    const executors = this.#executors;
    const onResult = (result: StepResult) => this.#report(result);
    const options = { steps, executors, live, clock, parallelMax, abort, cancel, onResult, trace };
    try {
      await this.#noteMemory(steps);
      return await applySteps(options);
    } catch (error) {
      // Where not even an intent can be written: tried again like a step that failed.
      log.error("cannot apply a plan", { error });
      const cause = error instanceof Error ? error : new Error(String(error));
      return steps.map((planned) => ({
        planned,
        outcome: "retryable",
        startedAtMs: clock.now(),
        durationMs: 0,
        error: cause,
      }));
    }
  }

  /** A full disk holds up no change: without it memory is not compared. */
  async #noteMemory(steps: readonly PlannedStep[]): Promise<void> {
    try {
      await noteBefore(this.#core, steps);
    } catch (error) {
      this.#core.log.warn("cannot note the memory of what is stopped", { error });
    }
  }

  /** Part of the deploy record; nobody waits for one that cannot be written, on a full disk. */
  #record(apps: ReadonlySet<string>, results: readonly StepResult[]): void {
    try {
      for (const app of apps) {
        const own = results.filter(({ planned }) => planned.step.app === app);
        this.#core.rollouts.record(app, own.flatMap(toRolloutStep));
      }
    } catch (error) {
      this.#core.log.warn("cannot note the steps of a rollout", { error });
    }
  }

  #report({ planned, outcome, durationMs, error }: StepResult): void {
    const { log, meters, events } = this.#core;
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
  }
}

export function isTrouble(outcome: StepResult["outcome"]): boolean {
  return outcome === "stalled" || outcome === "retryable";
}

function toRolloutStep({
  planned: { step },
  outcome,
  startedAtMs,
  durationMs,
  error,
}: StepResult): RolloutStep[] {
  if (outcome !== "done" && !isTrouble(outcome)) return [];
  const how = error === undefined ? {} : { error: error.message };
  const target = stepTarget(step);
  return [{ kind: step.kind, target, startedAtMs, durationMs, outcome, ...how }];
}

/** All apps together keep the host only so busy; what waits for others takes no slot. */
function withSlots(executors: Executors): Executors {
  const slots = createSlots(parallelMax);
  const limited = Object.entries(executors).map(([kind, execute]) => {
    if (waitingKinds.has(kind as StepKind)) return [kind, execute];
    // Each executor keeps its own types: it is only delayed.
    const run = execute as (...given: unknown[]) => Promise<void>;
    return [kind, (...given: unknown[]) => slots.run(() => run(...given))];
  });
  return Object.fromEntries(limited) as Executors;
}
