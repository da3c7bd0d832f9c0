import { counter, histogram } from "./agent-series.ts";
import { Gauge, type Registry } from "./prometheus-client.ts";

type RolloutVerdict = "pending" | "healthy" | "failed" | "rolled-back";

export type RolloutMetrics = {
  /** App -> how it fares. */
  setVerdicts(verdicts: ReadonlyMap<string, RolloutVerdict>): void;
  /** Containers that end again and again soon after each start. */
  setCrashLoops(containers: readonly { readonly app: string; readonly container: string }[]): void;
  /** App -> its newest revision, which is held back. */
  setQuarantined(revisions: ReadonlyMap<string, string>): void;
  /** A rollout reached a verdict. */
  rolledOut(event: { readonly verdict: RolloutVerdict; readonly durationMs: number }): void;
  /** Whether the newest commit is refused. */
  setRefused(isRefused: boolean): void;
};

export function rolloutMetrics(registry: Registry): RolloutMetrics {
  const registers = [registry];
  const verdicts = new Gauge({
    name: "berth_app_verdict",
    help: "1, with the verdict on an app as a label.",
    labelNames: ["app", "verdict"],
    registers,
  });
  const crashLoops = new Gauge({
    name: "berth_container_crash_loop",
    help: "1 for a container that ends again and again soon after each start.",
    labelNames: ["app", "container"],
    registers,
  });
  const quarantined = new Gauge({
    name: "berth_app_quarantined",
    help: "1 for an app whose newest revision is held back, with that revision as a label.",
    labelNames: ["app", "revision"],
    registers,
  });
  const total = counter(registry, {
    name: "berth_rollouts_total",
    help: "Rollouts by the verdict that they reached.",
    labels: { verdict: ["healthy", "failed", "rolled-back"] },
  });
  const duration = histogram(registry, "berth_rollout_duration_seconds", "Time to a verdict.");
  const refused = new Gauge({
    name: "berth_source_commit_refused",
    help: "1 while the newest commit is not valid and therefore not followed.",
    registers,
  });
  return {
    setVerdicts(apps) {
      verdicts.reset();
      for (const [app, verdict] of apps) verdicts.set({ app, verdict }, 1);
    },
    setCrashLoops(containers) {
      crashLoops.reset();
      for (const labels of containers) crashLoops.set(labels, 1);
    },
    setQuarantined(apps) {
      quarantined.reset();
      for (const [app, revision] of apps) quarantined.set({ app, revision }, 1);
    },
    rolledOut({ verdict, durationMs }) {
      total.inc({ verdict });
      duration.observe(durationMs / 1000);
    },
    setRefused: (isRefused) => refused.set(isRefused ? 1 : 0),
  };
}
