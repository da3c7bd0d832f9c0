import type { ContainerMetrics } from "../../metrics/container-metrics.ts";
import type { ContainerTarget } from "../../metrics/container-target.ts";
import type { Core } from "../core.ts";
import type { ReconcileLoop } from "../reconcile.ts";
import type { SourceLoop } from "../source/source-loop.ts";

/** What the answers of `Control` are made from. */
export type ControlContext = {
  readonly core: Core;
  readonly loop: ReconcileLoop;
  readonly source: SourceLoop;
  readonly instance: string;
  readonly containerMetrics: ContainerMetrics;
  /** The containers whose metrics are to be read. */
  readonly metricTargets: () => readonly ContainerTarget[];
  /** The agent's own series as Prometheus text. */
  readonly renderAgentMetrics: () => Promise<string>;
  /** Ends the agent. */
  readonly end: (reason: string) => void;
  /** Containers that are made, and not yet started, by who runs them in front of somebody. */
  readonly beginning: Set<string>;
  /** App -> the removal of what was run by hand and has ended, under way. */
  readonly removals: Map<string, Promise<void>>;
};
