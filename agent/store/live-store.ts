import type { DatabaseSync } from "node:sqlite";
import type { FieldChange } from "../control/control.ts";
import type { Migrations } from "./open-database.ts";

export const liveMigrations: Migrations = [
  `CREATE TABLE agent_intents (
     id INTEGER PRIMARY KEY AUTOINCREMENT, step TEXT NOT NULL, kind TEXT NOT NULL,
     target TEXT NOT NULL, container_id TEXT, started_at_ms INTEGER NOT NULL) STRICT;
   CREATE TABLE agent_restarts (
     container_id TEXT PRIMARY KEY, count INTEGER NOT NULL, backoff_ms INTEGER NOT NULL,
     oom_kills INTEGER NOT NULL) STRICT;
   CREATE TABLE agent_reasons (
     container_id TEXT PRIMARY KEY, revision TEXT NOT NULL, at_ms INTEGER NOT NULL,
     reason TEXT NOT NULL) STRICT;
   CREATE TABLE agent_lost (container_id TEXT PRIMARY KEY) STRICT;`,
  `ALTER TABLE agent_restarts ADD COLUMN failed_at_ms INTEGER;
   ALTER TABLE agent_restarts ADD COLUMN failure TEXT;`,
  "CREATE TABLE agent_unhealthy (container_id TEXT PRIMARY KEY) STRICT;",
];

/** A step that was begun and whose result is not known yet. */
export type Intent = {
  readonly id: number;
  readonly step: string;
  readonly kind: string;
  readonly target: string;
  readonly containerId: string | undefined;
};

export type RestartRecord = {
  /** Restarts since the container was made. */
  readonly count: number;
  /** Delay before the last restart; 0 after a healthy while. */
  readonly backoffMs: number;
  /** Runs that the kernel ended for lack of memory; undefined: none. The count of a run goes with its cgroup. */
  readonly oomKills?: number;
  /** The last end that nobody asked for. */
  readonly failure?: { readonly atMs: number; readonly how: string };
};

export type CreationReason = {
  readonly revision: string;
  readonly atMs: number;
  readonly reason: readonly FieldChange[];
};

/** What must outlive the agent but not the boot, in `run/live.db` on a tmpfs. */
export type LiveStore = ReturnType<typeof createLiveStore>;

export function createLiveStore(database: DatabaseSync) {
  return {
    ...intentMethods(database),
    ...restartMethods(database),
    ...reasonMethods(database),
    ...markMethods(database),
    /** Forgets what is remembered of containers that are not among these. */
    forgetContainersBut(present: ReadonlySet<string>): void {
      for (const table of containerTables) {
        const remove = database.prepare(`DELETE FROM ${table} WHERE container_id = ?`);
        for (const row of database.prepare(`SELECT container_id FROM ${table}`).all()) {
          const id = String(row.container_id);
          if (!present.has(id)) remove.run(id);
        }
      }
    },
  };
}

const markTables = ["agent_lost", "agent_unhealthy"] as const;
const containerTables = ["agent_restarts", "agent_reasons", ...markTables] as const;

function intentMethods(database: DatabaseSync) {
  const insert = database.prepare(
    "INSERT INTO agent_intents (step, kind, target, container_id, started_at_ms) VALUES (?, ?, ?, ?, ?)",
  );
  const remove = database.prepare("DELETE FROM agent_intents WHERE id = ?");
  const select = database.prepare("SELECT * FROM agent_intents ORDER BY id");
  return {
    /** Committed before the kernel is touched. Returns the intent's id. */
    beginIntent(intent: Omit<Intent, "id">, startedAtMs: number): number {
      const { step, kind, target, containerId } = intent;
      return Number(
        insert.run(step, kind, target, containerId ?? null, startedAtMs).lastInsertRowid,
      );
    },
    endIntent: (id: number): void => void remove.run(id),
    openIntents(): Intent[] {
      return select.all().map((row) => ({
        id: Number(row.id),
        step: String(row.step),
        kind: String(row.kind),
        target: String(row.target),
        containerId: row.container_id === null ? undefined : String(row.container_id),
      }));
    },
  };
}

function restartMethods(database: DatabaseSync) {
  const upsert = database.prepare(
    `INSERT OR REPLACE INTO agent_restarts
       (container_id, count, backoff_ms, oom_kills, failed_at_ms, failure) VALUES (?, ?, ?, ?, ?, ?)`,
  );
  const select = database.prepare("SELECT * FROM agent_restarts");
  const remove = database.prepare("DELETE FROM agent_restarts WHERE container_id = ?");
  return {
    setRestarts(containerId: string, record: RestartRecord): void {
      const { count, backoffMs, oomKills = 0, failure } = record;
      const end = [failure?.atMs ?? null, failure?.how ?? null] as const;
      upsert.run(containerId, count, backoffMs, oomKills, ...end);
    },
    forgetRestarts: (containerId: string): void => void remove.run(containerId),
    restarts(): Map<string, RestartRecord> {
      return new Map(
        select.all().map((row) => [
          String(row.container_id),
          {
            count: Number(row.count),
            backoffMs: Number(row.backoff_ms),
            oomKills: Number(row.oom_kills),
            ...(row.failure === null
              ? {}
              : { failure: { atMs: Number(row.failed_at_ms), how: String(row.failure) } }),
          },
        ]),
      );
    },
  };
}

function reasonMethods(database: DatabaseSync) {
  const upsert = database.prepare(
    "INSERT OR REPLACE INTO agent_reasons (container_id, revision, at_ms, reason) VALUES (?, ?, ?, ?)",
  );
  const select = database.prepare("SELECT * FROM agent_reasons WHERE container_id = ?");
  const remove = database.prepare("DELETE FROM agent_reasons WHERE container_id = ?");
  return {
    setReason(containerId: string, why: CreationReason): void {
      upsert.run(containerId, why.revision, why.atMs, JSON.stringify(why.reason));
    },
    reason(containerId: string): CreationReason | undefined {
      const row = select.get(containerId);
      if (row === undefined) return undefined;
      return {
        revision: String(row.revision),
        atMs: Number(row.at_ms),
        // Written by setReason only.
        reason: JSON.parse(String(row.reason)) as FieldChange[],
      };
    },
    forgetReason: (containerId: string): void => void remove.run(containerId),
  };
}

function markMethods(database: DatabaseSync) {
  const lost = marksOf(database, "agent_lost");
  const unhealthy = marksOf(database, "agent_unhealthy");
  return {
    /** Containers that ran when the machine went down: they are started again whatever their restart policy says. */
    lost: lost.all,
    markLost: lost.add,
    unmarkLost: lost.delete,
    /** Containers that are being ended because they are unhealthy: that is nobody's wish to have them stopped. */
    unhealthy: unhealthy.all,
    markUnhealthy: unhealthy.add,
    unmarkUnhealthy: unhealthy.delete,
  };
}

function marksOf(database: DatabaseSync, table: (typeof markTables)[number]) {
  const insert = database.prepare(`INSERT OR IGNORE INTO ${table} (container_id) VALUES (?)`);
  const remove = database.prepare(`DELETE FROM ${table} WHERE container_id = ?`);
  const select = database.prepare(`SELECT container_id FROM ${table}`);
  return {
    add: (containerId: string): void => void insert.run(containerId),
    delete: (containerId: string): void => void remove.run(containerId),
    all: (): Set<string> => new Set(select.all().map((row) => String(row.container_id))),
  };
}
