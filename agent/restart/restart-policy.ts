import type { RestartPolicy } from "../../manifests/desired-state.ts";
import type { ExitRecord } from "../../runtime/runtime.ts";
import type { RestartRecord } from "../store/live-store.ts";

const backoffMsFirst = 100;
const backoffMsMax = 60_000;
/** A container that ran this long starts from no delay again. */
export const healthyWhileMs = 10_000;

export type RestartDecision =
  | { readonly restart: false; readonly why: "policy" | "succeeded" | "attempts" }
  | { readonly restart: true; readonly delayMs: number };

/**
 * What follows an exit that nobody asked for. As Docker does: 100 ms doubling to one minute, forgotten after ten
 * healthy seconds; an exit after a healthy while is answered at once. A delay of the policy holds instead. An unknown
 * exit status counts as a failure.
 */
export function decideRestart(options: {
  readonly policy: RestartPolicy;
  readonly exit: ExitRecord;
  readonly restarts: RestartRecord;
  readonly ranForMs: number;
}): RestartDecision {
  const { policy, exit, restarts, ranForMs } = options;
  if (policy.condition === "no") return { restart: false, why: "policy" };
  if (policy.condition === "on-failure" && succeeded(exit))
    return { restart: false, why: "succeeded" };
  if (restarts.count >= (policy.attemptsMax ?? Infinity))
    return { restart: false, why: "attempts" };
  if (policy.delayMs !== undefined) return { restart: true, delayMs: policy.delayMs };
  if (ranForMs >= healthyWhileMs) return { restart: true, delayMs: 0 };
  const delayMs =
    restarts.backoffMs === 0 ? backoffMsFirst : Math.min(restarts.backoffMs * 2, backoffMsMax);
  return { restart: true, delayMs };
}

/**
 * How long a restart waits: what ended together, such as all that need one database, is not started together, so
 * `random` in [0, 1) takes away up to half. A delay of the policy is kept to.
 */
export function restartWaitMs(options: {
  readonly policy: RestartPolicy;
  readonly backoffMs: number;
  readonly random: number;
}): number {
  const { policy, backoffMs, random } = options;
  return policy.delayMs === undefined ? backoffMs * (1 - random / 2) : backoffMs;
}

export function succeeded(exit: ExitRecord): boolean {
  return exit.code === 0 && exit.signal === undefined;
}

/** True when an exited container of this policy has done what it was for. */
export function isCompletion(policy: RestartPolicy, exit: ExitRecord): boolean {
  return succeeded(exit) && (policy.condition === "no" || policy.condition === "on-failure");
}

/** `exit code 3`, `signal 9 (out of memory)`, `an unknown exit status`. */
export function describeExit(exit: ExitRecord): string {
  const memory = exit.oomKilled ? " (out of memory)" : "";
  if (exit.signal !== undefined) return `signal ${exit.signal}${memory}`;
  if (exit.code !== undefined) return `exit code ${exit.code}${memory}`;
  return `an unknown exit status${memory}`;
}
