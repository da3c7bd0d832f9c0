import type { AppState, Verdict } from "../control/control.ts";
import type { ActualContainer, ActualState } from "../observe.ts";
import { isStoppedByHand } from "../plan/diff.ts";
import { matchReplicas, type Replica } from "../plan/match-replicas.ts";
import type { WantedApp, WantedContainer } from "../plan/wanted-state.ts";
import {
  decideRestart,
  describeExit,
  healthyWhileMs,
  isCompletion,
} from "../restart/restart-policy.ts";
import type { Gate } from "./promotion.ts";
import { settlesInMs } from "./readiness.ts";

export type AppEvaluation = {
  readonly state: AppState;
  readonly verdict: Verdict;
  /** Containers that failed, each with how. */
  readonly failing: readonly { readonly name: string; readonly reason: string }[];
  /** Containers that end again and again soon after each start. */
  readonly crashLooping: readonly string[];
  /** Empty when there is nothing to say. */
  readonly reason: string;
  readonly services: readonly {
    readonly name: string;
    readonly replicas: number;
    readonly ready: number;
  }[];
};

/** Steps of an app that failed when they were last applied. */
export type AppTrouble = {
  readonly kind: "stalled" | "retryable" | "waiting";
  readonly reason: string;
  /** Times in a row. */
  readonly failures: number;
  /** What those steps were about, by name: containers among others. */
  readonly targets: readonly string[];
};

type ReplicaState = {
  readonly kind: "ready" | "pending" | "by-hand" | "failed";
  readonly reason: string;
};

/** Restarts in a row after which a container that does not stay up has failed. */
const crashLoopRestarts = 3;
const retriesTolerated = 1;

/** Pure: how an app fares against what is held of it. */
export function evaluateApp(options: {
  readonly app: WantedApp;
  readonly actual: ActualState;
  readonly gate: Gate | undefined;
  readonly trouble: AppTrouble | undefined;
  /** Steps of it are being applied. */
  readonly isUnderWay: boolean;
  readonly nowMs: number;
  /** The held revision was healthy before. */
  readonly wasHealthy: boolean;
}): AppEvaluation {
  const { app, actual, gate, trouble, isUnderWay, nowMs, wasHealthy } = options;
  const match = matchReplicas(actual);
  const states = app.containers.map((wanted) => ({
    wanted,
    state: replicaState({ wanted, container: shownOf(match(wanted)), actual, nowMs }),
  }));
  const services = new Map<string, { name: string; replicas: number; ready: number }>();
  for (const { wanted, state } of states) {
    const { name, replicas } = wanted.service;
    const entry = services.get(name) ?? { name, replicas, ready: 0 };
    if (state.kind === "ready") entry.ready += 1;
    services.set(name, entry);
  }
  const reasons = (kind: ReplicaState["kind"]) =>
    states.filter(({ state }) => state.kind === kind).map(({ state }) => state.reason);
  const judged = judge({
    failed: reasons("failed"),
    pending: reasons("pending"),
    byHand: reasons("by-hand"),
    gate,
    trouble,
    isUnderWay,
  });
  const state = appState(judged.verdict, judged.byHand, wasHealthy && gate === undefined);
  return {
    state,
    verdict: judged.verdict,
    reason: judged.reason,
    failing: states
      .filter((entry) => entry.state.kind === "failed")
      .map((entry) => ({ name: entry.wanted.name, reason: entry.state.reason })),
    crashLooping: app.containers.flatMap((wanted) => {
      const shown = shownOf(match(wanted));
      return shown !== undefined && isCrashLooping(shown, nowMs) ? [wanted.name] : [];
    }),
    services: [...services.values()],
  };
}

function judge(found: {
  readonly failed: readonly string[];
  readonly pending: readonly string[];
  readonly byHand: readonly string[];
  readonly gate: Gate | undefined;
  readonly trouble: AppTrouble | undefined;
  readonly isUnderWay: boolean;
}): { readonly verdict: Verdict; readonly reason: string; readonly byHand: boolean } {
  const { failed, pending, byHand, gate, trouble, isUnderWay } = found;
  const failures = [
    ...(gate?.kind === "stalled" ? [gate.reason] : []),
    ...(trouble !== undefined && isFinal(trouble) ? [trouble.reason] : []),
    ...failed,
  ];
  if (failures.length > 0) return { verdict: "failed", reason: failures.join("; "), byHand: false };
  const waits = [
    ...(gate === undefined ? [] : [gate.reason]),
    ...(trouble === undefined ? [] : [trouble.reason]),
    ...pending,
  ];
  if (waits.length === 0 && isUnderWay) waits.push("its changes are being applied");
  if (waits.length > 0) return { verdict: "pending", reason: waits.join("; "), byHand: false };
  return { verdict: "healthy", reason: byHand.join("; "), byHand: byHand.length > 0 };
}

function isCrashLooping(container: ActualContainer, nowMs: number): boolean {
  const { restarts, restartPending, status } = container;
  if (restarts.count < crashLoopRestarts || restarts.backoffMs === 0) return false;
  if (status.state !== "running") return restartPending;
  return nowMs - (status.startedAtMs ?? nowMs) < healthyWhileMs;
}

/** A step may fail once without being a failure. */
export function isFinal(trouble: AppTrouble): boolean {
  if (trouble.kind === "retryable") return trouble.failures > retriesTolerated;
  return trouble.kind === "stalled";
}

function appState(verdict: Verdict, byHand: boolean, wasHealthy: boolean): AppState {
  if (verdict === "healthy") return byHand ? "degraded" : "running";
  if (wasHealthy) return "degraded";
  return verdict === "failed" ? "failed" : "progressing";
}

function shownOf({ current, others }: Replica): ActualContainer | undefined {
  return current ?? others[0];
}

function replicaState(options: {
  readonly wanted: WantedContainer;
  readonly container: ActualContainer | undefined;
  readonly actual: ActualState;
  readonly nowMs: number;
}): ReplicaState {
  const { wanted, container, actual, nowMs } = options;
  const { name } = wanted;
  if (container === undefined) {
    return actual.completed.get(name) === wanted.specDigest
      ? { kind: "ready", reason: "" }
      : { kind: "pending", reason: `${name} is not created yet` };
  }
  if (container.specDigest !== wanted.specDigest) {
    return { kind: "pending", reason: `${name} still runs an earlier definition` };
  }
  if (container.status.state === "running") return runningState(name, container, nowMs);
  if (container.status.state === "exited") return exitedState({ wanted, container, actual });
  const isHeld = actual.byHand.get(name)?.action === "hold";
  if (!isHeld && isStoppedByHand(wanted, actual.byHand)) {
    return { kind: "by-hand", reason: `${name} was stopped by hand` };
  }
  return { kind: "pending", reason: `${name} is ${container.status.state}` };
}

function runningState(name: string, container: ActualContainer, nowMs: number): ReplicaState {
  const { health, restarts, status, startedEarly } = container;
  if (health === "unhealthy") return { kind: "failed", reason: `${name} is unhealthy` };
  const upMs = nowMs - (status.startedAtMs ?? nowMs);
  const isPastRestarts = startedEarly || upMs < 0 || upMs >= healthyWhileMs;
  if (restarts.backoffMs > 0 && !isPastRestarts) {
    const reason = `${name} was restarted ${restarts.count} times`;
    return { kind: restarts.count >= crashLoopRestarts ? "failed" : "pending", reason };
  }
  if (health === "starting") {
    return { kind: "pending", reason: `${name} waits for its first good healthcheck` };
  }
  if (settlesInMs(container, nowMs) > 0) {
    return { kind: "pending", reason: `${name} was started just now` };
  }
  if (status.isHeldBack === true) {
    return { kind: "pending", reason: `${name} is about to take over` };
  }
  return { kind: "ready", reason: "" };
}

function exitedState(options: {
  readonly wanted: WantedContainer;
  readonly container: ActualContainer;
  readonly actual: ActualState;
}): ReplicaState {
  const { wanted, container, actual } = options;
  const { name } = wanted;
  const exit = container.status.exit ?? { oomKilled: false, finishedAtMs: 0 };
  const policy = wanted.service.restart;
  if (isStoppedByHand(wanted, actual.byHand)) {
    return { kind: "by-hand", reason: `${name} was stopped by hand` };
  }
  const done = actual.completed.get(name) === wanted.specDigest;
  if (done || isCompletion(policy, exit)) return { kind: "ready", reason: "" };
  if (container.lostAtBoot) return { kind: "pending", reason: `${name} is not started yet` };
  const { restarts } = container;
  const ended = `${name} ended with ${describeExit(exit)}`;
  if (!decideRestart({ policy, exit, restarts, ranForMs: 0 }).restart) {
    const why = policy.condition === "on-failure" ? `after ${restarts.count} restarts` : "";
    return { kind: "failed", reason: `${ended} and is not restarted ${why}`.trim() };
  }
  const kind = restarts.count >= crashLoopRestarts ? "failed" : "pending";
  return { kind, reason: `${ended} and is being restarted` };
}
