/**
 * What berth uses of prom-client. The library's index loads also what pushes to gateways and gathers from clusters, and
 * TLS with it: 3 MiB of memory in an agent that does neither.
 */
import { createRequire } from "node:module";
import type * as client from "prom-client";

const load = createRequire(import.meta.url);

// Each file exports what the index exports under its name.
export const Counter = load("prom-client/lib/counter.js") as typeof client.Counter;
export const Gauge = load("prom-client/lib/gauge.js") as typeof client.Gauge;
export const Histogram = load("prom-client/lib/histogram.js") as typeof client.Histogram;
export const Registry = load("prom-client/lib/registry.js") as typeof client.Registry;

/**
 * All that the library's `collectDefaultMetrics` collects but what wakes an idle agent ten times a second: the utilization
 * of the event loop, and its delay, which `collectEventLoopDelay` has.
 */
const processMetrics = [
  "processCpuTotal",
  "processStartTime",
  "osMemoryHeap",
  "processOpenFileDescriptors",
  "processMaxFileDescriptors",
  "processResources",
  "processHandles",
  "processRequests",
  "heapSizeAndUsed",
  "heapSpacesSizeAndUsed",
  "version",
  "gc",
];

/** Metrics of this process (`process_*`, `nodejs_*`). */
export function collectProcessMetrics(registry: client.Registry): void {
  for (const name of processMetrics) {
    const collect = load(`prom-client/lib/metrics/${name}.js`) as Collector;
    collect(registry);
  }
}

/** As each of the library's files of that folder exports it. */
type Collector = (registry: client.Registry) => void;

export type Counter<Label extends string = string> = client.Counter<Label>;
export type Gauge<Label extends string = string> = client.Gauge<Label>;
export type Histogram<Label extends string = string> = client.Histogram<Label>;
export type Registry = client.Registry;
