import { stepTarget } from "../plan/step.ts";
import type { StepResult } from "./apply.ts";
import type { AppTrouble } from "./verdict.ts";

/**
 * What kept an app from being as wanted when its steps were applied, counting failures in a row. Waiting for a condition
 * is shown, but is no failure.
 */
export function troubleOf(
  before: AppTrouble | undefined,
  results: readonly StepResult[],
): AppTrouble | undefined {
  let worst: AppTrouble | undefined;
  const targets: string[] = [];
  for (const { outcome, error, planned } of results) {
    if (outcome === "done" || outcome === "skipped") continue;
    if (outcome !== "waiting") targets.push(stepTarget(planned.step));
    if (worst !== undefined && rank[worst.kind] >= rank[outcome]) continue;
    const failures = outcome === "waiting" ? 0 : (before?.failures ?? 0) + 1;
    worst = { kind: outcome, reason: error?.message ?? outcome, failures, targets };
  }
  return worst;
}

const rank = { waiting: 0, retryable: 1, stalled: 2 } as const;
