import type { ContainerChange } from "../plan/container-change.ts";
import type { MatchReplica } from "../plan/match-replicas.ts";
import type { WantedApp } from "../plan/wanted-state.ts";

/**
 * `depends_on: {x: {restart: true}}`: whoever started before its dependency was made anew is started again. Read
 * from times rather than from this plan's changes, so that a crash in between forgets nothing.
 */
export function dependentRestarts(options: {
  readonly app: WantedApp;
  readonly changes: readonly ContainerChange[];
  readonly match: MatchReplica;
}): ContainerChange[] {
  const { app, changes, match } = options;
  const changed = new Set(
    changes.map((change) => (change.kind === "remove" ? change.actual.name : change.wanted.name)),
  );
  const restarts: ContainerChange[] = [];
  for (const wanted of app.containers) {
    const container = match(wanted).current;
    if (container?.status.state !== "running" || changed.has(wanted.name)) continue;
    const startedAtMs = container.status.startedAtMs ?? 0;
    const newer = Object.entries(wanted.service.dependsOn)
      .filter(([, dependency]) => dependency.restart)
      .map(([service]) => service)
      .filter((service) =>
        app.containers.some(
          (other) =>
            other.service.name === service &&
            (changes.some((change) => change.kind === "recreate" && change.wanted === other) ||
              (match(other).current?.status.createdAtMs ?? 0) > startedAtMs),
        ),
      );
    if (newer.length === 0) continue;
    const reason = newer.map((service) => ({
      field: `depends_on.${service}`,
      from: "earlier container",
      to: "recreated",
    }));
    restarts.push({ kind: "restart", wanted, actual: container, reason });
  }
  return restarts;
}
