import type { UpdatePolicy } from "../../manifests/desired-state.ts";
import type { ActualContainer } from "../observe.ts";
import { isUp } from "../rollout/readiness.ts";
import type { ContainerChange } from "./container-change.ts";
import type { MatchReplica } from "./match-replicas.ts";
import type { WantedApp } from "./wanted-state.ts";

export type Paced = {
  readonly changes: readonly ContainerChange[];
  /** When the next group may begin, where only time keeps it waiting. */
  readonly heldUntilMs: number | undefined;
};

/**
 * Pure. `deploy.update_config` over the replicas of a service: so many at a time, the next ones once those are up, and
 * after the delay. What a policy holds back is not in the changes; it comes when the difference is looked at again.
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
    const policy = replicas[0]?.service.deploy?.update;
    if (policy === undefined || policy.parallelism === 0 || replicas.length < 2) continue;
    const updates = changes.filter(
      (change) => isUpdate(change) && replicas.includes(change.wanted),
    );
    const begun = updates.filter(
      (change) => change.kind === "replace" && change.actual !== undefined,
    );
    const updated = replicas
      .filter((wanted) => !updates.some((change) => isUpdate(change) && change.wanted === wanted))
      .flatMap((wanted) => match(wanted).current ?? []);
    const onTheirWay = updated.filter((container) => isAwaited(container, policy, nowMs)).length;
    const lastMs = Math.max(0, ...updated.map(({ status }) => status.startedAtMs ?? 0));
    const isDelayed = policy.delayMs > 0 && nowMs < lastMs + policy.delayMs;
    const room = isDelayed ? 0 : Math.max(0, policy.parallelism - begun.length - onTheirWay);
    const rest = updates.filter((change) => !begun.includes(change)).slice(room);
    for (const change of rest) held.add(change);
    if (isDelayed && rest.length > 0) {
      heldUntilMs = Math.min(heldUntilMs ?? Infinity, lastMs + policy.delayMs);
    }
  }
  return { changes: changes.filter((change) => !held.has(change)), heldUntilMs };
}

type Update = Extract<ContainerChange, { kind: "recreate" | "replace" }>;

function isUpdate(change: ContainerChange): change is Update {
  return change.kind === "recreate" || change.kind === "replace";
}

/** With `failure_action: continue` one that does not come up is waited for only as long as it is watched. */
function isAwaited(container: ActualContainer, policy: UpdatePolicy, nowMs: number): boolean {
  if (isUp(container, nowMs)) return false;
  if (policy.failureAction !== "continue") return true;
  return nowMs - (container.status.createdAtMs ?? 0) < policy.monitorMs;
}
