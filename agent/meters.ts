import type { AgentMetrics } from "../metrics/agent-metrics.ts";
import type { Verdict } from "./control/control.ts";
import type { StepKind } from "./plan/step.ts";
import type { StepOutcome } from "./rollout/apply.ts";

/** What the loop tells its metrics. */
export type Meters = {
  step(kind: StepKind | "pull-image", outcome: StepOutcome, durationMs: number): void;
  pull(result: "pulled" | "failed", durationMs: number): void;
  round(result: "changed" | "unchanged" | "failed", durationMs: number): void;
  fetched(result: "ok" | "failed"): void;
  verdict(verdict: Verdict, durationMs: number): void;
  /** The newest commit is not valid. */
  refused(isRefused: boolean): void;
  drift(kind: string): void;
  hold(figures: HeldFigures): void;
};

export type HeldFigures = {
  readonly containersWanted: number;
  readonly containersRunning: number;
  readonly apps: readonly {
    readonly name: string;
    readonly revision: string;
    readonly verdict: Verdict;
    readonly crashLooping: readonly string[];
  }[];
  /** Apps whose newest revision is held back. */
  readonly quarantined: readonly { readonly app: string; readonly revision: string }[];
};

/** Puts them into the agent's Prometheus series. What only waits, or was not tried, is no result of a step. */
export function createMeters(metrics: AgentMetrics): Meters {
  return {
    step(kind, outcome, durationMs) {
      if (outcome === "waiting" || outcome === "skipped") return;
      metrics.stepped({ kind, result: outcome === "done" ? "ok" : "failed", durationMs });
    },
    pull: (result, durationMs) => metrics.pulled({ result, durationMs }),
    round: (result, durationMs) => metrics.reconciled({ result, durationMs }),
    fetched: (result) => metrics.fetched(result),
    drift: (kind) => metrics.drifted(kind),
    verdict: (verdict, durationMs) => metrics.rolledOut({ verdict, durationMs }),
    refused: (isRefused) => metrics.setRefused(isRefused),
    hold({ containersWanted, containersRunning, apps, quarantined }) {
      metrics.setContainers({ wanted: containersWanted, running: containersRunning });
      metrics.setRevisions(new Map(apps.map(({ name, revision }) => [name, revision])));
      metrics.setVerdicts(new Map(apps.map(({ name, verdict }) => [name, verdict])));
      metrics.setCrashLoops(
        apps.flatMap(({ name: app, crashLooping }) =>
          crashLooping.map((container) => ({ app, container })),
        ),
      );
      metrics.setQuarantined(new Map(quarantined.map(({ app, revision }) => [app, revision])));
    },
  };
}
