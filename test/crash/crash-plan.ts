import type { StepKind } from "../../agent/plan/step.ts";

/** When a child ends itself: at the `at`-th thing it passes, counted from 0, or some time after it. */
export type Kill = {
  readonly kind: "boundaries" | "instants" | "earlyInstants";
  readonly at: number;
  readonly delayMs: number;
};

export type ChildOptions = {
  readonly root: string;
  readonly instance: string;
  readonly repo: string;
  readonly configFile: string;
  readonly kill: Kill | null;
};

/** What is said to a child: when to end itself, counted from here on; to count from here on; to say what it passed; or that it need not end itself any more, and to say so. */
export type Said = Kill | "never" | "count" | "disarm";

/** How many it passed since it was told to count, and the kinds of the steps that it passed boundaries of. */
export type Passed = {
  readonly boundaries: number;
  readonly instants: number;
  /** Before the first step. */
  readonly earlyInstants: number;
  readonly steps: readonly StepKind[];
};
