import type { DatabaseSync } from "node:sqlite";

/** The Compose file that an operator ran an app from, as values. */
export type RunSource = Readonly<Record<string, unknown>>;

export const runMigration = `
  CREATE TABLE agent_runs (app TEXT PRIMARY KEY, compose TEXT NOT NULL) STRICT;`;

export function runMethods(database: DatabaseSync) {
  const upsert = database.prepare("INSERT OR REPLACE INTO agent_runs (app, compose) VALUES (?, ?)");
  const select = database.prepare("SELECT compose FROM agent_runs WHERE app = ?");
  const remove = database.prepare("DELETE FROM agent_runs WHERE app = ?");
  return {
    putRun: (app: string, source: RunSource): void => void upsert.run(app, JSON.stringify(source)),
    forgetRun: (app: string): void => void remove.run(app),
    run(app: string): RunSource | undefined {
      const row = select.get(app);
      // Written by putRun only.
      return row === undefined ? undefined : (JSON.parse(String(row.compose)) as RunSource);
    },
  };
}
