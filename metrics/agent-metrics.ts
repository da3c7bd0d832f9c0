/** The agent's metrics of itself, in a registry of their own. */
import { readdirSync, statSync } from "node:fs";
import { counter, durationBucketsSeconds, histogram } from "./agent-series.ts";
import { collectEventLoopDelay } from "./event-loop-delay.ts";
import { type ImageMetrics, imageMetrics } from "./image-metrics.ts";
import { collectProcessMetrics, Gauge, Histogram, Registry } from "./prometheus-client.ts";
import { type RolloutMetrics, rolloutMetrics } from "./rollout-metrics.ts";

const reconcileResults = ["changed", "unchanged", "failed"] as const;
const outcomes = ["ok", "failed"] as const;
const hookResults = ["accepted", "refused"] as const;

export type ReconcileResult = (typeof reconcileResults)[number];
export type Outcome = (typeof outcomes)[number];
export type HookResult = (typeof hookResults)[number];

export type AgentMetricsOptions = {
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
};

export type AgentMetrics = ImageMetrics &
  RolloutMetrics & {
    reconciled(event: { readonly result: ReconcileResult; readonly durationMs: number }): void;
    fetched(result: Outcome): void;
    hooked(result: HookResult): void;
    /** The revision that each app runs now: app -> commit. Apps that are not in it lose their series. */
    setRevisions(revisions: ReadonlyMap<string, string>): void;
    setContainers(count: { readonly wanted: number; readonly running: number }): void;
    drifted(kind: string): void;
    stepped(event: {
      readonly kind: string;
      readonly result: Outcome;
      readonly durationMs: number;
    }): void;
    /** Prometheus text exposition format 0.0.4. */
    render(): Promise<string>;
  };

/** Includes the process's own metrics and the event loop's (`process_*`, `nodejs_*`). */
export function createAgentMetrics(options: AgentMetricsOptions): AgentMetrics {
  const registry = new Registry();
  collectProcessMetrics(registry);
  collectEventLoopDelay(registry);
  countOpenFiles(registry);
  addBuildInfo(registry, options.version);
  return {
    ...reconcileMetrics(registry),
    ...sourceMetrics(registry, options.now ?? Date.now),
    ...stateMetrics(registry),
    ...rolloutMetrics(registry),
    ...stepMetrics(registry),
    ...imageMetrics(registry),
    // The library spells NaN (no delay measured yet) as no specification does.
    render: async () => (await registry.metrics()).replaceAll(" Nan\n", " NaN\n"),
  };
}

/**
 * In place of the library's way, which lists them all: with the thousands that metrics keep open, that would hold the
 * event loop for milliseconds. Since Linux 6.2 the directory's size is their number (proc_pid_fd(5)).
 */
function countOpenFiles(registry: Registry): void {
  const directory = "/proc/self/fd";
  registry.removeSingleMetric("process_open_fds");
  const open: Gauge = new Gauge({
    name: "process_open_fds",
    help: "Open file descriptors.",
    registers: [registry],
    collect: () => {
      open.set(statSync(directory).size || readdirSync(directory).length - 1);
    },
  });
}

function addBuildInfo(registry: Registry, version: string): void {
  const info = new Gauge({
    name: "berth_build_info",
    help: "1, with the versions of berth and of Node as labels.",
    labelNames: ["version", "node"],
    registers: [registry],
  });
  info.set({ version, node: process.version }, 1);
}

function reconcileMetrics(registry: Registry): Pick<AgentMetrics, "reconciled"> {
  const total = counter(registry, {
    name: "berth_reconcile_total",
    help: "Reconciliations by result.",
    labels: { result: reconcileResults },
  });
  const duration = histogram(
    registry,
    "berth_reconcile_duration_seconds",
    "Time of a reconciliation.",
  );
  return {
    reconciled({ result, durationMs }) {
      total.inc({ result });
      duration.observe(durationMs / 1000);
    },
  };
}

function sourceMetrics(
  registry: Registry,
  now: () => number,
): Pick<AgentMetrics, "fetched" | "hooked"> {
  const total = counter(registry, {
    name: "berth_source_fetch_total",
    help: "Fetches from the git repository by result.",
    labels: { result: outcomes },
  });
  const hooks = counter(registry, {
    name: "berth_webhooks_total",
    help: "Deliveries of webhooks by result.",
    labels: { result: hookResults },
  });
  let lastMs: number | undefined;
  // Without a fetch there is no sample: 0 would be a date.
  const timestamp = new Gauge({
    name: "berth_source_last_fetch_timestamp_seconds",
    help: "Unix time of the last fetch that succeeded.",
    registers: [registry],
  });
  timestamp.remove();
  const age = new Gauge({
    name: "berth_source_last_fetch_age_seconds",
    help: "Time since the last fetch that succeeded.",
    registers: [registry],
    collect: () => {
      if (lastMs !== undefined) age.set(Math.max(0, now() - lastMs) / 1000);
    },
  });
  age.remove();
  return {
    hooked: (result) => hooks.inc({ result }),
    fetched(result) {
      total.inc({ result });
      if (result === "failed") return;
      lastMs = now();
      timestamp.set(lastMs / 1000);
    },
  };
}

function stateMetrics(
  registry: Registry,
): Pick<AgentMetrics, "setRevisions" | "setContainers" | "drifted"> {
  const registers = [registry];
  const revision = new Gauge({
    name: "berth_revision_info",
    help: "1, with the revision that an app runs as a label.",
    labelNames: ["app", "revision"],
    registers,
  });
  const containers = new Gauge({
    name: "berth_containers",
    help: "Containers that should run and that do.",
    labelNames: ["state"],
    registers,
  });
  const drift = counter(registry, {
    name: "berth_drift_total",
    help: "Differences found between the kernel and what was applied, by kind.",
    labels: { kind: [] },
  });
  return {
    setRevisions(revisions) {
      revision.reset();
      for (const [app, sha] of revisions) revision.set({ app, revision: sha }, 1);
    },
    setContainers({ wanted, running }) {
      containers.set({ state: "wanted" }, wanted);
      containers.set({ state: "running" }, running);
    },
    drifted: (kind) => drift.inc({ kind }),
  };
}

function stepMetrics(registry: Registry): Pick<AgentMetrics, "stepped"> {
  const total = counter(registry, {
    name: "berth_steps_total",
    help: "Steps carried out, by kind and result.",
    labels: { kind: [], result: outcomes },
  });
  const duration = new Histogram({
    name: "berth_step_duration_seconds",
    help: "Time of a step.",
    labelNames: ["kind"],
    buckets: durationBucketsSeconds,
    registers: [registry],
  });
  return {
    stepped({ kind, result, durationMs }) {
      total.inc({ kind, result });
      duration.observe({ kind }, durationMs / 1000);
    },
  };
}
