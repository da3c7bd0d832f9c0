import type { DatabaseSync } from "node:sqlite";

/** The Compose file that an operator ran an app from, as values. */
export type RunSource = Readonly<Record<string, unknown>>;

export const runMigration = `
  CREATE TABLE agent_runs (app TEXT PRIMARY KEY, compose TEXT NOT NULL) STRICT;`;

export const endedRunMigration = `
  ALTER TABLE agent_runs ADD COLUMN ends INTEGER NOT NULL DEFAULT 0;`;

export function runMethods(database: DatabaseSync) {
  const upsert = database.prepare(
    "INSERT OR REPLACE INTO agent_runs (app, compose, ends) VALUES (?, ?, ?)",
  );
  const ending = database.prepare("SELECT app FROM agent_runs WHERE ends = 1");
  const select = database.prepare("SELECT compose FROM agent_runs WHERE app = ?");
  const remove = database.prepare("DELETE FROM agent_runs WHERE app = ?");
  return {
    /** `ends`: it is removed once it has ended. */
    putRun: (app: string, source: RunSource, { ends }: { readonly ends: boolean }): void =>
      void upsert.run(app, JSON.stringify(source), ends ? 1 : 0),
    /** Apps that are removed once they have ended. */
    endingRuns: (): string[] => ending.all().map(({ app }) => String(app)),
    forgetRun: (app: string): void => void remove.run(app),
    run(app: string): RunSource | undefined {
      const row = select.get(app);
      // Written by putRun only.
      return row === undefined ? undefined : (JSON.parse(String(row.compose)) as RunSource);
    },
  };
}
