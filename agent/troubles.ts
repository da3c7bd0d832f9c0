import type { StepResult } from "./apply.ts";
import type { AppTrouble } from "./verdict.ts";

/**
 * What keeps each app (`""`: the whole host) from being as wanted after a round, counting rounds in a row. Waiting
 * for a condition is shown, but is no failure.
 */
export function nextTroubles(
  before: ReadonlyMap<string, AppTrouble>,
  results: readonly StepResult[],
): ReadonlyMap<string, AppTrouble> {
  const next = new Map<string, AppTrouble>();
  for (const { planned, outcome, error } of results) {
    if (outcome === "done" || outcome === "skipped") continue;
    const key = planned.step.app ?? "";
    const known = next.get(key);
    if (known !== undefined && rank[known.kind] >= rank[outcome]) continue;
    const failures = outcome === "waiting" ? 0 : (before.get(key)?.failures ?? 0) + 1;
    next.set(key, { kind: outcome, reason: error?.message ?? outcome, failures });
  }
  return next;
}

const rank = { waiting: 0, retryable: 1, stalled: 2 } as const;
