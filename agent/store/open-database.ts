import { chmodSync, renameSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/** One SQL script per schema version; the first makes version 1. Never edited once released, only added to. */
export type Migrations = readonly string[];

/**
 * Opens (or makes) a SQLite file in WAL mode and brings our tables to the newest schema; what a durable file held before
 * is kept beside it as `NAME.schema-N`, for a way back to the older agent. Throws when a newer agent wrote the file: its
 * meaning is not known here.
 */
export function openDatabase(options: {
  readonly path: string;
  /** FULL: a committed transaction outlives a power cut. OFF: it outlives the process (file on a tmpfs). */
  readonly synchronous: "FULL" | "OFF";
  readonly migrations: Migrations;
}): DatabaseSync {
  const database = new DatabaseSync(options.path, { timeout: 5_000 });
  chmodSync(options.path, 0o600);
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(`PRAGMA synchronous = ${options.synchronous}`);
  database.exec("PRAGMA foreign_keys = ON");
  migrate(database, options);
  return database;
}

/** Runs `body` in one transaction; an error rolls it back. */
export function inTransaction<T>(database: DatabaseSync, body: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = body();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    // After some errors, a full disk among them, SQLite has rolled back by itself (lang_transaction.html, section 3).
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

function migrate(database: DatabaseSync, options: Parameters<typeof openDatabase>[0]): void {
  database.exec("CREATE TABLE IF NOT EXISTS agent_schema (version INTEGER NOT NULL)");
  const row = database.prepare("SELECT max(version) AS version FROM agent_schema").get();
  const version = Number(row?.version ?? 0);
  if (version > options.migrations.length) {
    database.close();
    throw new Error(
      `cannot open ${options.path} because it has schema ${version}, written by a newer berth: ` +
        `${options.migrations.length} or older is expected`,
    );
  }
  const isOlder = version > 0 && version < options.migrations.length;
  if (isOlder && options.synchronous === "FULL") keep(database, options.path, version);
  for (const [index, script] of options.migrations.entries()) {
    if (index < version) continue;
    inTransaction(database, () => {
      database.exec(script);
      database.prepare("INSERT INTO agent_schema (version) VALUES (?)").run(index + 1);
    });
  }
}

/** A whole copy of it, or none: whoever is killed on the way makes it anew. */
function keep(database: DatabaseSync, path: string, version: number): void {
  const [whole, half] = [`${path}.schema-${version}`, `${path}.schema-${version}.half`];
  rmSync(half, { force: true });
  database.prepare("VACUUM INTO ?").run(half);
  chmodSync(half, 0o600);
  renameSync(half, whole);
}
