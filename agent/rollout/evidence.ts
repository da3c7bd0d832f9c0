import type { Service } from "../../manifests/desired-state.ts";
import type { ActualContainer, ActualState } from "../observe.ts";
import type { WantedApp } from "../plan/wanted-state.ts";
import type { RolloutRecord } from "../store/rollout-store.ts";
import { type AppEvaluation, type AppTrouble, isFinal } from "./verdict.ts";

export type Watched = {
  readonly app: WantedApp;
  readonly actual: ActualState;
  readonly evaluation: AppEvaluation;
  /** Of steps of this app. */
  readonly trouble: AppTrouble | undefined;
  readonly rollout: RolloutRecord;
  /** When all of it was ready for the first time; null before that. */
  readonly readyAtMs: number | null;
  /** Processes that the kernel killed for lack of memory in the run that goes on, by container id. */
  readonly oomKills: ReadonlyMap<string, number>;
};

/**
 * Pure. What shows that a rollout went wrong, in one line that a person understands; undefined: nothing does. Until the
 * app was ready, only containers that the rollout made are blamed: others may have failed before.
 */
export function findEvidence(watched: Watched): string | undefined {
  const { app, actual, evaluation, trouble, rollout, readyAtMs } = watched;
  const lines: string[] = [];
  if (trouble !== undefined && isFinal(trouble)) lines.push(trouble.reason);
  const wanted = new Map(app.containers.map((container) => [container.name, container]));
  const failed = new Map<Service, string[]>();
  for (const container of actual.containers) {
    const { service, specDigest } = wanted.get(container.name) ?? {};
    if (service === undefined || specDigest !== container.specDigest) continue;
    const isNew = container.status.createdAtMs >= rollout.startedAtMs;
    if (!isNew && readyAtMs === null) continue;
    const line =
      (isNew ? outOfMemory(container, watched) : undefined) ??
      endedWhenReady(container, readyAtMs) ??
      evaluation.failing.find(({ name }) => name === container.name)?.reason;
    if (line !== undefined) failed.set(service, [...(failed.get(service) ?? []), line]);
  }
  for (const [service, ofService] of failed) {
    if (countsAsFailed(service, ofService.length)) lines.push(...ofService);
  }
  return lines.length === 0 ? undefined : lines.join("; ");
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

function endedWhenReady(
  { name, restarts }: ActualContainer,
  readyAtMs: number | null,
): string | undefined {
  const { failure } = restarts;
  if (readyAtMs === null || failure === undefined || failure.atMs < readyAtMs) return undefined;
  const afterMs = failure.atMs - readyAtMs;
  return `${name} ended with ${failure.how} ${(afterMs / 1_000).toFixed(1)} s after all was ready`;
}
