import type { Service, UpdatePolicy } from "../../manifests/desired-state.ts";
import type { ActualContainer } from "../observe.ts";
import { isCompletion } from "../restart/restart-policy.ts";
import { changedAtMs, isUp } from "../rollout/readiness.ts";
import type { ContainerChange } from "./container-change.ts";
import type { MatchReplica } from "./match-replicas.ts";
import { updatePolicyOf } from "./update-policy.ts";
import type { WantedApp } from "./wanted-state.ts";

export type Paced = {
  readonly changes: readonly ContainerChange[];
  /** Those that stay as they are for now. */
  readonly held: readonly ActualContainer[];
  /** When the next group may begin, where only time keeps it waiting. */
  readonly heldUntilMs: number | undefined;
};

/** A container is given so long to be started, however short it is watched. */
const startMsMin = 5_000;

/** Where no `update_config` is written a canary alone paces: after it all others change at once. */
const unpaced = {
  parallelism: 0,
  delayMs: 0,
  failureAction: "rollback",
  monitorMs: 0,
  failureRatioMax: 0,
  order: "stop-first",
} as const satisfies UpdatePolicy;

/**
 * Pure. `deploy.update_config` (`rollback_config` on the way back) over the replicas of a service: so many at a time, the next ones once those are up, and
 * after the delay. Of those that failed more than `max_failure_ratio` hold all others back, unless `failure_action` is `continue`; fewer are passed over. A canary (`x-berth.canary`) goes before them, alone and for a time; there is none on the way back. What a policy holds back is not in the changes; it comes when the difference is looked at again.
 */
export function paceUpdates(options: {
  readonly app: WantedApp;
  readonly changes: readonly ContainerChange[];
  readonly match: MatchReplica;
  readonly nowMs: number;
}): Paced {
  const { app, changes, match, nowMs } = options;
  const held = new Set<ContainerChange>();
  let heldUntilMs: number | undefined;
  const services = Map.groupBy(app.containers, ({ service }) => service.name);
  for (const replicas of services.values()) {
    const [first] = replicas;
    if (first === undefined || replicas.length < 2) continue;
    const canaryMs = canaryOf(app, first.service);
    const policy = updatePolicyOf(app, first.service) ?? unpaced;
    if (policy.parallelism === 0 && canaryMs === 0) continue;
    const updates = changes.filter(
      (change) => isUpdate(change) && replicas.includes(change.wanted),
    );
    const begun = updates.filter(
      (change) => change.kind === "replace" && change.actual !== undefined,
    );
    const updated = replicas
      .filter((wanted) => !updates.some((change) => isUpdate(change) && change.wanted === wanted))
      .flatMap((wanted) => match(wanted).current ?? []);
    const failed = updated.filter((container) => hasFailed(container, policy, nowMs));
    const isTolerated =
      policy.failureAction === "continue" ||
      failed.length <= policy.failureRatioMax * replicas.length;
    const onTheirWay = updated.filter(
      (one) => !isSettled(one, first.service, nowMs) && !(isTolerated && failed.includes(one)),
    ).length;
    // A time to come is of before the clock was set back: it is long ago.
    const changedMs = updated
      .map(({ status }) => changedAtMs(status) ?? 0)
      .map((ms) => (ms > nowMs ? 0 : ms));
    const isWatched = canaryMs > 0 && !updated.some((one) => hasProved(one, canaryMs, nowMs));
    const nextMs = isWatched
      ? Math.min(...changedMs) + canaryMs
      : Math.max(0, ...changedMs) + policy.delayMs;
    const isDelayed = updated.length > 0 && nowMs < nextMs;
    const atOnce = policy.parallelism === 0 ? updates.length : policy.parallelism;
    const next = onTheirWay > 0 ? 0 : atOnce;
    const most = isWatched ? 1 - updated.length : next;
    const room = isDelayed || !isTolerated ? 0 : Math.max(0, most - begun.length);
    const rest = updates.filter((change) => !begun.includes(change)).slice(room);
    for (const change of rest) held.add(change);
    if (isDelayed && rest.length > 0) heldUntilMs = Math.min(heldUntilMs ?? Infinity, nextMs);
  }
  return {
    changes: changes.filter((change) => !held.has(change)),
    held: [...held].flatMap(heldBy),
    heldUntilMs,
  };
}

function heldBy(change: ContainerChange): readonly ActualContainer[] {
  if (change.kind === "create") return [];
  const { actual } = change;
  const others = change.kind === "replace" ? change.others : [];
  return actual === undefined ? others : [actual, ...others];
}

function canaryOf({ isGoingBack = false }: WantedApp, { canaryMs = 0 }: Service): number {
  return isGoingBack ? 0 : canaryMs;
}

/** It ran as it shall for the canary's time. */
function hasProved(container: ActualContainer, canaryMs: number, nowMs: number): boolean {
  const sinceMs = nowMs - (changedAtMs(container.status) ?? nowMs);
  return isUp(container, nowMs) && (sinceMs < 0 || sinceMs >= canaryMs);
}

type Update = Extract<ContainerChange, { kind: "recreate" | "reload" | "replace" }>;

function isUpdate(change: ContainerChange): change is Update {
  return change.kind === "recreate" || change.kind === "reload" || change.kind === "replace";
}

/** It is up, or has done what it was for. */
function isSettled(container: ActualContainer, { restart }: Service, nowMs: number): boolean {
  const { exit, state } = container.status;
  if (state === "exited" && exit !== undefined) return isCompletion(restart, exit);
  return isUp(container, nowMs);
}

/**
 * It ended, or got unhealthy, since it was changed, and has not been well for as long as it is watched since; or that time
 * went by and it never ran.
 */
function hasFailed(container: ActualContainer, policy: UpdatePolicy, nowMs: number): boolean {
  const { health, restarts, status } = container;
  const { createdAtMs, reloadedAtMs = 0, state } = status;
  const changedMs = Math.max(createdAtMs, reloadedAtMs);
  const failedAtMs = restarts.failure?.atMs ?? Number.NEGATIVE_INFINITY;
  // A time to come is of before the clock was set back.
  if (failedAtMs >= changedMs && failedAtMs <= nowMs) {
    return !isUp(container, nowMs) || nowMs - failedAtMs < policy.monitorMs;
  }
  if (health === "unhealthy") return true;
  const sinceMs = nowMs - changedMs;
  return state === "created" && sinceMs >= Math.max(policy.monitorMs, startMsMin);
}
