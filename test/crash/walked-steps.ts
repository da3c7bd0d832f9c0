import type { StepKind } from "../../agent/plan/step.ts";

/** What a test goes through, its agent killed at every boundary of it. */
export type Walked =
  | "a life"
  | "a rollback"
  | "a start-first rollout"
  | "a collection"
  | "a pull"
  | "a repair";

/** Where each kind of step is met: each walk checks that it does. A new kind does not compile without a walk. */
const walkOf: { readonly [Kind in StepKind]: Walked } = {
  "create-network": "a life",
  "remove-network": "a life",
  "create-volume": "a life",
  "await-condition": "a life",
  "create-container": "a life",
  "start-container": "a life",
  "reload-container": "a life",
  "stop-container": "a life",
  "remove-container": "a life",
  "await-ready": "a start-first rollout",
  "hand-over": "a start-first rollout",
  "drain-container": "a start-first rollout",
  repair: "a repair",
};

/** The kinds of steps that a walk is there for. */
export function stepsOf(walked: Walked): readonly StepKind[] {
  // The keys of the map.
  return (Object.keys(walkOf) as StepKind[]).filter((kind) => walkOf[kind] === walked);
}
