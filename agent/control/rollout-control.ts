import type { CommitSummary, RolloutStep } from "../store/deploy-record.ts";
import type { RolloutCause } from "../store/rollout-store.ts";
import type { FieldChange, Verdict } from "./control.ts";

/** One rollout, as `berth history` shows it. */
export type RolloutReport = {
  readonly app: string;
  readonly revision: string;
  readonly cause: RolloutCause;
  /** Null: an operator ran it, or it is not known any more. */
  readonly commit: CommitSummary | null;
  /** ISO 8601. */
  readonly startedAt: string;
  /** ISO 8601; null while there is no verdict. */
  readonly finishedAt: string | null;
  readonly verdict: Verdict;
  /** The evidence, in one line; empty when there is nothing to say. */
  readonly reason: string;
  /** In the order in which they ended. Those of an agent that was killed meanwhile are not known. */
  readonly steps: readonly StepReport[];
};

export type StepReport = Pick<RolloutStep, "kind" | "target" | "outcome" | "error"> & {
  /** ISO 8601. */
  readonly startedAt: string;
  /** Milliseconds. */
  readonly tookMs: number;
};

/** Why a container is there, and what happened to it since. */
export type WhyReport = {
  readonly container: string;
  readonly app: string;
  readonly id: string;
  /** The revision that made it. */
  readonly revision: string;
  readonly commit: CommitSummary | null;
  /** ISO 8601. */
  readonly createdAt: string;
  /** The fields that differed when it was made; empty where that is not known any more. */
  readonly reason: readonly FieldChange[];
  readonly restarts: number;
  /** The last end that nobody asked for. */
  readonly failure: { readonly at: string; readonly how: string } | null;
  /** Newest rollout of its app. */
  readonly rollout: RolloutReport | null;
};

/** What can be asked of a running agent about rollouts. */
export type RolloutControl = {
  /**
   * Puts an app back on the revision before, or on one that is named by a prefix of its sha; what git wants is held back
   * until the ref moves. Rejects when that revision is not known here, or its images are gone.
   */
  rollback(options: { readonly app: string; readonly to?: string }): Promise<RolloutReport>;
  /** Leaves an app, or all of them, alone: no commit and no drift changes it. Restart policies still hold. */
  suspend(app?: string): Promise<void>;
  /** Ends that, and lets a revision that is held back be tried again. */
  resume(app?: string): Promise<void>;
  /** Newest first; of all apps, or of one. Empty for an app that was never here. */
  history(app?: string): Promise<readonly RolloutReport[]>;
  why(name: string): Promise<WhyReport>;
};
