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
};

export type MetricsAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "rendered"; readonly id: number; readonly text: Uint8Array<ArrayBuffer> }
  | {
      readonly kind: "sampled";
      readonly id: number;
      readonly samples: ReadonlyMap<string, ContainerSample>;
    }
  | { readonly kind: "failed"; readonly id: number; readonly message: string };
