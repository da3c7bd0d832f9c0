import type { StepOutcome } from "./apply.ts";
import type { StepKind } from "./step.ts";

/** What the loop tells its metrics. */
export type Meters = {
  step(kind: StepKind, outcome: StepOutcome, durationMs: number): void;
  round(result: "ok" | "failed", durationMs: number): void;
  fetched(result: "ok" | "failed", durationMs: number): void;
  drift(kind: string): void;
  hold(figures: HeldFigures): void;
};

export type HeldFigures = {
  readonly wantedRevision: string | null;
  readonly runningRevision: string | null;
  readonly containersWanted: number;
  readonly containersRunning: number;
  readonly ready: boolean;
  readonly apps: readonly {
    readonly name: string;
    readonly revision: string;
    readonly verdict: string;
  }[];
};
