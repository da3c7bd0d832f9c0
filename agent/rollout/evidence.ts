import { hasSameContent } from "../../manifests/canonical-json.ts";
import type { App, Service } from "../../manifests/desired-state.ts";
import type { ActualContainer, ActualState } from "../observe.ts";
import type { WantedApp } from "../plan/wanted-state.ts";
import type { RolloutRecord } from "../store/rollout-store.ts";
import { passedBound, type UsageSpan } from "./bounds.ts";
import { type AppEvaluation, type AppTrouble, isFinal } from "./verdict.ts";

export type Watched = {
  readonly app: WantedApp;
  readonly actual: ActualState;
  readonly evaluation: AppEvaluation;
  /** Of steps of this app. */
  readonly trouble: AppTrouble | undefined;
  readonly rollout: RolloutRecord;
  /** What was good before. */
  readonly before: () => App | undefined;
  /** When all of it was ready for the first time; null before that. */
  readonly readyAtMs: number | null;
  /** Processes that the kernel killed for lack of memory in the run that goes on, by container id. */
  readonly oomKills: ReadonlyMap<string, number>;
  /** What containers with bounds use, by container id. */
  readonly usage: ReadonlyMap<string, UsageSpan>;
  readonly nowMs: number;
};

/**
 * Pure. What shows that a rollout went wrong, in one line that a person understands; undefined: nothing does. Until the
 * app was ready, only containers that the rollout made are blamed, or looks at with another healthcheck: others may have
 * failed before.
 */
export function findEvidence(watched: Watched): string | undefined {
  const { app, actual, evaluation, trouble, rollout, before, readyAtMs, nowMs } = watched;
  const lines: string[] = [];
  const wanted = new Map(app.containers.map((container) => [container.name, container]));
  const failed = new Map<Service, Map<string, string>>();
  const blame = (service: Service, name: string, line: string) =>
    failed.set(service, (failed.get(service) ?? new Map<string, string>()).set(name, line));
  if (trouble !== undefined && isFinal(trouble)) {
    const { reason, targets } = trouble;
    const services = targets.map((name) => ({ name, service: wanted.get(name)?.service }));
    for (const { name, service } of services)
      if (service !== undefined) blame(service, name, reason);
    // A network or a volume is nobody's replica.
    if (services.some(({ service }) => service === undefined)) lines.push(reason);
  }
  for (const container of actual.containers) {
    const { service, specDigest } = wanted.get(container.name) ?? {};
    if (service === undefined || specDigest !== container.specDigest) continue;
    const isNew = isMadeBy(rollout, container, nowMs);
    const isBlamed = isNew || readyAtMs !== null || failsNewCheck(container, service, before);
    if (!isBlamed) continue;
    const line =
      (isNew ? outOfMemory(container, watched) : undefined) ??
      endedWhenReady(container, watched) ??
      (isNew ? outOfBounds(container, service, watched) : undefined) ??
      evaluation.failing.find(({ name }) => name === container.name)?.reason;
    if (line !== undefined) blame(service, container.name, line);
  }
  for (const [service, ofService] of failed) {
    if (countsAsFailed(service, ofService.size)) lines.push(...ofService.values());
  }
  return lines.length === 0 ? undefined : [...new Set(lines)].join("; ");
}

/** By the times; where one of them is ahead, because the clock was set back, by the revision. */
function isMadeBy(rollout: RolloutRecord, container: ActualContainer, nowMs: number): boolean {
  const { createdAtMs, reloadedAtMs = 0 } = container.status;
  const isAhead = createdAtMs > nowMs || rollout.startedAtMs > nowMs;
  if (isAhead) return container.revision === rollout.revision;
  return Math.max(createdAtMs, reloadedAtMs) >= rollout.startedAtMs;
}

function failsNewCheck(
  { health }: ActualContainer,
  { name, healthcheck }: Service,
  before: Watched["before"],
): boolean {
  if (health !== "unhealthy") return false;
  const earlier = before()?.services.find((service) => service.name === name);
  return earlier !== undefined && !hasSameContent(healthcheck, earlier.healthcheck);
}

/** `deploy.update_config`: what is done about failures, and how many replicas may have one. */
function countsAsFailed({ deploy, replicas }: Service, failures: number): boolean {
  const update = deploy?.update;
  if (update === undefined) return true;
  return update.failureAction === "rollback" && failures / replicas > update.failureRatioMax;
}

function outOfMemory(container: ActualContainer, { oomKills }: Watched): string | undefined {
  const { id, name, restarts, status } = container;
  const kills = (restarts.oomKills ?? 0) + (oomKills.get(id) ?? 0);
  if (kills === 0) return undefined;
  const bytesMax = status.spec.resources.memoryBytesMax;
  const limit = bytesMax === undefined ? "" : `, its limit is ${bytesMax / 1_048_576} MiB`;
  return `${name} ran out of memory: the kernel killed ${kills === 1 ? "a process" : `${kills} processes`} of it${limit}`;
}

function outOfBounds(
  { id, name }: ActualContainer,
  { bounds }: Service,
  { usage }: Watched,
): string | undefined {
  const span = usage.get(id);
  return bounds === undefined || span === undefined ? undefined : passedBound(name, bounds, span);
}

function endedWhenReady(
  { name, restarts }: ActualContainer,
  { readyAtMs, nowMs }: Watched,
): string | undefined {
  const { failure } = restarts;
  if (readyAtMs === null || failure === undefined || failure.atMs < readyAtMs) return undefined;
  // Of before the clock was set back.
  if (failure.atMs > nowMs) return undefined;
  const afterMs = failure.atMs - readyAtMs;
  return `${name} ended with ${failure.how} ${(afterMs / 1_000).toFixed(1)} s after all was ready`;
}
