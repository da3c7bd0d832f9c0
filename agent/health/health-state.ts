import type { Healthcheck } from "../../manifests/desired-state.ts";
import type { Health } from "../../runtime/runtime.ts";

export type HealthState = {
  readonly health: Exclude<Health, "none">;
  /** Failures in a row that count. */
  readonly failures: number;
  readonly probes: number;
};

export const healthStarting: HealthState = { health: "starting", failures: 0, probes: 0 };

/**
 * One probe's result. As Docker does: a success makes healthy at once; a failure counts only after the start period
 * (or once it was healthy); `retries` counted failures in a row make unhealthy. The first probe comes right after
 * the start, earlier than Docker's, so its failure never counts.
 */
export function nextHealth(options: {
  readonly state: HealthState;
  readonly ok: boolean;
  readonly sinceStartMs: number;
  readonly check: Healthcheck;
}): HealthState {
  const { state, ok, sinceStartMs, check } = options;
  const probes = state.probes + 1;
  if (ok) return { health: "healthy", failures: 0, probes };
  const starting = state.health === "starting";
  if (starting && (state.probes === 0 || sinceStartMs < check.startPeriodMs)) {
    return { ...state, probes };
  }
  const failures = state.failures + 1;
  const unhealthy = failures >= Math.max(1, check.retries);
  return { health: unhealthy ? "unhealthy" : state.health, failures, probes };
}

/** Milliseconds until the next probe: the start interval while the start period lasts, then the interval. */
export function nextProbeInMs(
  state: HealthState,
  sinceStartMs: number,
  check: Healthcheck,
): number {
  if (state.probes === 0) return 0;
  const early = state.health === "starting" && sinceStartMs < check.startPeriodMs;
  return early ? Math.min(check.startIntervalMs, check.intervalMs) : check.intervalMs;
}

/** True when a healthcheck asks for something (`NONE` switches it off). */
export function isProbed(check: Healthcheck | undefined): check is Healthcheck {
  if (check?.probe !== undefined) return true;
  return check !== undefined && check.test.length > 1 && check.test[0] !== "NONE";
}
