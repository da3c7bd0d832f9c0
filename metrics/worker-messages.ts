/** What the agent's thread and the metrics thread say to each other. */

import type { Machine } from "./container-set.ts";
import type { ContainerSample } from "./container-target.ts";

export type MetricsWorkerData = { readonly machine: Machine };

/**
 * Targets travel with the question that needs them. Each is a `ContainerTarget` as JSON: a string crosses between
 * threads for less than an object does, and only those that changed are sent.
 */
export type MetricsQuestion = {
  readonly id: number;
  readonly kind: "render" | "sample";
  readonly put: readonly string[];
  readonly remove: readonly string[];
  /**
   * Memory to put the text into, if it is enough. Shared: memory that is handed over counts as new in the thread that gets
   * it, and a collector that sees ten mebibytes come with each scrape runs all the time. Who asks leaves it alone until
   * the answer, who answers does so from then on.
   */
  readonly into?: SharedArrayBuffer;
};

export type MetricsAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "rendered"; readonly id: number; readonly text: Uint8Array<SharedArrayBuffer> }
  | {
      readonly kind: "sampled";
      readonly id: number;
      readonly samples: ReadonlyMap<string, ContainerSample>;
    }
  | { readonly kind: "failed"; readonly id: number; readonly message: string };
