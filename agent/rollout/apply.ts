import type { Clock } from "../clock.ts";
import { describeError } from "../log.ts";
import type { PlannedStep, Step, StepKind, StepOf } from "../plan/step.ts";
import { stepTarget } from "../plan/step.ts";
import { stepErrorKind } from "../plan/step-error.ts";
import type { LiveStore } from "../store/live-store.ts";
import type { StepTrace } from "./step-trace.ts";

/** Exhaustive by type: a new kind of step does not compile without its executor. */
export type Executors = {
  readonly [Kind in StepKind]: (
    step: StepOf<Kind>,
    context: { readonly planned: PlannedStep; readonly abort: AbortSignal },
  ) => Promise<void>;
};

export type StepOutcome = "done" | "stalled" | "waiting" | "retryable" | "skipped";

export type StepResult = {
  readonly planned: PlannedStep;
  readonly outcome: StepOutcome;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly error?: Error;
};

export type ApplyOptions = {
  readonly steps: readonly PlannedStep[];
  readonly executors: Executors;
  readonly live: LiveStore;
  readonly clock: Clock;
  /** Steps that run side by side at most. */
  readonly parallelMax: number;
  readonly abort: AbortSignal;
  /** What has begun ends in its own time, the rest is skipped. */
  readonly cancel?: AbortSignal;
  readonly onResult: (result: StepResult) => void;
  readonly trace?: StepTrace | undefined;
};

/**
 * Carries out a plan: each step as soon as those it needs are done, intent first. A step whose need failed is
 * skipped; independent ones go on. Never rejects: the results say what happened.
 */
export async function applySteps(options: ApplyOptions): Promise<StepResult[]> {
  const results = new Map<string, StepResult>();
  const waiting = new Set(options.steps);
  const running = new Map<string, Promise<void>>();
  const settle = (result: StepResult) => {
    results.set(result.planned.key, result);
    options.onResult(result);
  };
  while (waiting.size > 0 || running.size > 0) {
    for (const planned of waiting) {
      const readiness = readinessOf(planned, results, options);
      if (readiness === "later") continue;
      if (readiness === "run" && running.size >= options.parallelMax) break;
      waiting.delete(planned);
      if (readiness === "never") {
        settle({ planned, outcome: "skipped", startedAtMs: options.clock.now(), durationMs: 0 });
        continue;
      }
      const run = runStep(planned, options).then((result) => {
        running.delete(planned.key);
        settle(result);
      });
      running.set(planned.key, run);
    }
    if (running.size > 0) await Promise.race(running.values());
  }
  return [...results.values()];
}

function readinessOf(
  planned: PlannedStep,
  results: ReadonlyMap<string, StepResult>,
  { abort, cancel }: Pick<ApplyOptions, "abort" | "cancel">,
): "run" | "later" | "never" {
  if (abort.aborted || cancel?.aborted) return "never";
  const outcomes = planned.needs.map((key) => results.get(key)?.outcome);
  if (outcomes.some((outcome) => outcome !== undefined && outcome !== "done")) return "never";
  return outcomes.every((outcome) => outcome === "done") ? "run" : "later";
}

/** Never rejects: whoever waits would go on while other steps of the plan still run. */
async function runStep(planned: PlannedStep, options: ApplyOptions): Promise<StepResult> {
  const { step } = planned;
  const { clock, live, abort, trace } = options;
  const startedAtMs = clock.now();
  let intent: number | undefined;
  try {
    trace?.("due", planned);
    intent = live.beginIntent(
      {
        step: planned.key,
        kind: step.kind,
        target: stepTarget(step),
        containerId: "id" in step ? step.id : undefined,
      },
      startedAtMs,
    );
    trace?.("intended", planned);
    await execute(options.executors, planned, abort);
    return { planned, outcome: "done", startedAtMs, durationMs: clock.now() - startedAtMs };
  } catch (cause) {
    const error = cause instanceof Error ? cause : new Error(describeError(cause));
    const durationMs = clock.now() - startedAtMs;
    return { planned, outcome: stepErrorKind(error), startedAtMs, durationMs, error };
  } finally {
    trace?.("changed", planned);
    if (intent !== undefined) endIntent(live, intent);
    trace?.("settled", planned);
  }
}

/** One that cannot be written down, on a full disk, stays open: the next agent looks at the step again. */
function endIntent(live: LiveStore, intent: number): void {
  try {
    live.endIntent(intent);
  } catch {}
}

function execute(executors: Executors, planned: PlannedStep, abort: AbortSignal): Promise<void> {
  const run = <Kind extends StepKind>(kind: Kind, step: StepOf<Kind>) =>
    executors[kind](step, { planned, abort });
  // The kind of a step is its own: TypeScript cannot tie the key of the map to the union's member.
  return run(planned.step.kind, planned.step as Step as never);
}
