import type { DatabaseSync } from "node:sqlite";

/** Who made a commit, and its first line. */
export type CommitSummary = { readonly author: string; readonly subject: string };

/** One step of a rollout, once its result was known. */
export type RolloutStep = {
  readonly kind: string;
  readonly target: string;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly outcome: string;
  /** Why it failed. */
  readonly error?: string;
};

/** What a rollout was, beyond its verdict: its commit and its steps. */
export const deployRecordMigration = `
  ALTER TABLE agent_revisions ADD COLUMN author TEXT;
  ALTER TABLE agent_revisions ADD COLUMN subject TEXT;
  ALTER TABLE agent_rollouts ADD COLUMN author TEXT;
  ALTER TABLE agent_rollouts ADD COLUMN subject TEXT;
  ALTER TABLE agent_rollouts ADD COLUMN steps TEXT;`;

/** Of one rollout: what tries again and again until its verdict does not fill the disk. */
const stepsMax = 2_000;

export function deployRecordMethods(database: DatabaseSync) {
  const ofRevision = database.prepare("SELECT author, subject FROM agent_revisions WHERE sha = ?");
  const ofEarlier = database.prepare(
    "SELECT author, subject FROM agent_rollouts WHERE revision = ? AND author IS NOT NULL LIMIT 1",
  );
  const commitOf = (revision: string): CommitSummary | null =>
    toCommit(ofRevision.get(revision)) ?? toCommit(ofEarlier.get(revision));
  const steps = database.prepare("SELECT steps FROM agent_rollouts WHERE id = ?");
  const setSteps = database.prepare("UPDATE agent_rollouts SET steps = ? WHERE id = ?");
  const stepsOf = (id: number): readonly RolloutStep[] => toSteps(steps.get(id)?.steps);
  return {
    /** Null where it is not known (any more). */
    commitOf,
    addRolloutSteps(id: number, more: readonly RolloutStep[]): void {
      setSteps.run(JSON.stringify([...stepsOf(id), ...more].slice(0, stepsMax)), id);
    },
    /** In the order in which their results were known. */
    rolloutSteps: stepsOf,
  };
}

export function toCommit(row: Record<string, unknown> | undefined): CommitSummary | null {
  if (row === undefined || row.author === null) return null;
  return { author: String(row.author), subject: String(row.subject) };
}

function toSteps(text: unknown): readonly RolloutStep[] {
  // Written by addRolloutSteps only.
  return typeof text === "string" ? (JSON.parse(text) as RolloutStep[]) : [];
}
