import type { DatabaseSync } from "node:sqlite";
import type { App } from "../../manifests/desired-state.ts";
import type { Verdict } from "../control/control.ts";
import { type CommitSummary, deployRecordMethods, toCommit } from "./deploy-record.ts";

/** Unix milliseconds; null: it was suspended under an older berth, and nothing tells when. */
export type SinceMs = number | null;

/** An app as it is held on this host: promoted from a revision once everything it needs was there. */
export type EnforcedApp = {
  readonly app: App;
  /** Sha of the newest revision that says the same. */
  readonly revision: string;
  /** Service name -> digest of its image, resolved once for as long as the service stays the same. */
  readonly images: Readonly<Record<string, string>>;
};

/** Stands in place of a sha where an operator ran the app and git has none of it. */
export const runRevision = "by-hand";

/**
 * `commit`: git moved. `image`: a tag that is watched did. `rollback`: what git wanted failed. `by-hand`: an operator said
 * which revision. `run`: an operator ran it, git has nothing to do with it.
 */
export type RolloutCause = "commit" | "image" | "rollback" | "by-hand" | "run";

/** The applying of one revision to one app. */
export type RolloutRecord = {
  /** Rises with time. */
  readonly id: number;
  readonly app: string;
  readonly revision: string;
  readonly cause: RolloutCause;
  /** Null: an operator ran it, or an older berth began it. */
  readonly commit: CommitSummary | null;
  readonly startedAtMs: number;
  /** When the verdict was reached; null while it is pending. */
  readonly finishedAtMs: number | null;
  readonly verdict: Verdict;
  readonly reason: string;
};

/** A revision of an app that failed here, or that an operator turned away: not tried again until the ref moves. */
export type Quarantine = {
  readonly app: string;
  readonly revision: string;
  readonly reason: string;
};

/** What held before is carried over: the last deploy of each app that is still held has its definition. */
export const rolloutMigration = `
  CREATE TABLE agent_rollouts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, app TEXT NOT NULL, revision TEXT NOT NULL, cause TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL, finished_at_ms INTEGER, verdict TEXT NOT NULL, reason TEXT NOT NULL,
    definition TEXT, images TEXT) STRICT;
  CREATE INDEX agent_rollouts_of_app ON agent_rollouts (app, id);
  INSERT INTO agent_rollouts (app, revision, cause, started_at_ms, finished_at_ms, verdict, reason)
    SELECT app, revision, 'commit', started_at_ms, finished_at_ms, verdict, reason
    FROM agent_history ORDER BY started_at_ms;
  UPDATE agent_rollouts SET
    definition = (SELECT app FROM agent_apps WHERE name = agent_rollouts.app),
    images = (SELECT images FROM agent_apps WHERE name = agent_rollouts.app)
    WHERE id IN (SELECT max(id) FROM agent_rollouts GROUP BY app);
  DROP TABLE agent_history;
  CREATE TABLE agent_quarantine (
    app TEXT PRIMARY KEY, revision TEXT NOT NULL, reason TEXT NOT NULL) STRICT;
  CREATE TABLE agent_suspended (app TEXT PRIMARY KEY) STRICT;`;

/** Since when: the event of it tells for what was suspended before it was kept, unless that is long ago. */
export const suspensionMigration = `
  ALTER TABLE agent_suspended ADD COLUMN since_ms INTEGER;
  UPDATE agent_suspended SET since_ms = (SELECT max(time_ms) FROM agent_events
    WHERE kind = 'app.suspended' AND target = iif(agent_suspended.app = '', 'host', agent_suspended.app));`;

const rolloutsMax = 1_000;
/** How many definitions of an app can be gone back to by hand; the last good ones stay beyond that. */
const definitionsMax = 10;
const goodMax = 2;

/** One statement each: whoever calls them decides what is one transaction. */
export function rolloutMethods(database: DatabaseSync) {
  const deployRecords = deployRecordMethods(database);
  return {
    ...recordMethods(database, deployRecords),
    ...deployRecords,
    ...definitionMethods(database),
    ...quarantineMethods(database),
    ...suspensionMethods(database),
  };
}

function recordMethods(
  database: DatabaseSync,
  { commitOf }: Pick<ReturnType<typeof deployRecordMethods>, "commitOf">,
) {
  const insert = database.prepare(
    `INSERT INTO agent_rollouts
       (app, revision, cause, started_at_ms, verdict, reason, definition, images, author, subject)
       VALUES (?, ?, ?, ?, 'pending', '', ?, ?, ?, ?)`,
  );
  const finish = database.prepare(
    "UPDATE agent_rollouts SET finished_at_ms = ?, verdict = ?, reason = ? WHERE id = ?",
  );
  const forgetDefinitions = database.prepare(
    `UPDATE agent_rollouts SET definition = NULL, images = NULL WHERE app = ?1
       AND definition IS NOT NULL
       AND id NOT IN (SELECT id FROM agent_rollouts WHERE app = ?1 ORDER BY id DESC LIMIT ${definitionsMax})
       AND id NOT IN (SELECT id FROM agent_rollouts
         WHERE app = ?1 AND verdict = 'healthy' AND definition IS NOT NULL
         ORDER BY id DESC LIMIT ${goodMax})`,
  );
  const trim = database.prepare(
    `DELETE FROM agent_rollouts WHERE definition IS NULL AND id <=
       (SELECT id FROM agent_rollouts ORDER BY id DESC LIMIT 1 OFFSET ${rolloutsMax})`,
  );
  const forget = database.prepare(
    "UPDATE agent_rollouts SET definition = NULL, images = NULL WHERE app = ?",
  );
  const select = database.prepare(
    `SELECT id, app, revision, cause, author, subject, started_at_ms, finished_at_ms, verdict, reason
       FROM agent_rollouts ORDER BY id`,
  );
  return {
    insertRollout(
      { app, revision, images }: EnforcedApp,
      { cause, startedAtMs }: Pick<RolloutRecord, "cause" | "startedAtMs">,
    ): RolloutRecord {
      const definition = [JSON.stringify(app), JSON.stringify(images)] as const;
      const commit = commitOf(revision);
      const { lastInsertRowid } = insert.run(
        app.name,
        revision,
        cause,
        startedAtMs,
        ...definition,
        commit?.author ?? null,
        commit?.subject ?? null,
      );
      forgetDefinitions.run(app.name);
      trim.run();
      return {
        id: Number(lastInsertRowid),
        app: app.name,
        revision,
        cause,
        commit,
        startedAtMs,
        finishedAtMs: null,
        verdict: "pending",
        reason: "",
      };
    },
    finishRollout({ id, finishedAtMs, verdict, reason }: RolloutRecord): void {
      finish.run(finishedAtMs, verdict, reason, id);
    },
    /** It left git: there is nothing to go back to. */
    forgetRollouts: (app: string): void => void forget.run(app),
    /** Oldest first. */
    rollouts: (): RolloutRecord[] => select.all().map(toRecord),
  };
}

function definitionMethods(database: DatabaseSync) {
  const good = database.prepare(
    `SELECT revision, definition, images FROM agent_rollouts
       WHERE app = ? AND verdict = 'healthy' AND definition IS NOT NULL ORDER BY id DESC`,
  );
  const known = database.prepare(
    `SELECT revision, definition, images FROM agent_rollouts
       WHERE app = ? AND definition IS NOT NULL ORDER BY id DESC`,
  );
  const every = database.prepare(
    "SELECT definition FROM agent_rollouts WHERE definition IS NOT NULL",
  );
  const goodImages = database.prepare(
    `SELECT app, images FROM agent_rollouts AS one WHERE images IS NOT NULL AND id IN
       (SELECT id FROM agent_rollouts WHERE app = one.app AND verdict = 'healthy'
         AND definition IS NOT NULL ORDER BY id DESC LIMIT ${goodMax})`,
  );
  return {
    /** What was healthy here once, newest first. */
    goodDefinitions: (app: string): EnforcedApp[] => good.all(app).map(toEnforced),
    /** What was tried here, newest first. */
    knownDefinitions: (app: string): EnforcedApp[] => known.all(app).map(toEnforced),
    /** Of all apps, whether they were good or not. */
    everyDefinition: (): App[] =>
      // Written by insertRollout only.
      every.all().map((row) => JSON.parse(String(row.definition)) as App),
    /** App -> digests of what it could be rolled back to. */
    goodImages(): [string, readonly string[]][] {
      return goodImages.all().map((row) => [
        String(row.app),
        // Written by insertRollout only.
        Object.values(JSON.parse(String(row.images)) as Record<string, string>),
      ]);
    },
  };
}

function quarantineMethods(database: DatabaseSync) {
  const insert = database.prepare("INSERT OR REPLACE INTO agent_quarantine VALUES (?, ?, ?)");
  const remove = database.prepare("DELETE FROM agent_quarantine WHERE app = ?");
  const select = database.prepare("SELECT * FROM agent_quarantine");
  return {
    putQuarantine({ app, revision, reason }: Quarantine): void {
      insert.run(app, revision, reason);
    },
    liftQuarantine: (app: string): void => void remove.run(app),
    quarantines(): Quarantine[] {
      return select.all().map((row) => ({
        app: String(row.app),
        revision: String(row.revision),
        reason: String(row.reason),
      }));
    },
  };
}

function suspensionMethods(database: DatabaseSync) {
  const insert = database.prepare(
    "INSERT OR IGNORE INTO agent_suspended (app, since_ms) VALUES (?, ?)",
  );
  const remove = database.prepare("DELETE FROM agent_suspended WHERE app = ?");
  const removeAll = database.prepare("DELETE FROM agent_suspended");
  const select = database.prepare("SELECT app, since_ms FROM agent_suspended");
  return {
    /** `""`: every app. What is suspended already stays so since it was. */
    suspend: (app: string, nowMs: number): void => void insert.run(app, nowMs),
    /** `""`: every app, also those suspended by name. */
    unsuspend: (app: string): void => void (app === "" ? removeAll.run() : remove.run(app)),
    suspended(): Map<string, SinceMs> {
      const since = ({ since_ms: ms }: Record<string, unknown>) =>
        ms === null ? null : Number(ms);
      return new Map(select.all().map((row) => [String(row.app), since(row)]));
    },
  };
}

function toRecord(row: Record<string, unknown>): RolloutRecord {
  return {
    id: Number(row.id),
    app: String(row.app),
    revision: String(row.revision),
    // Both written by insertRollout and finishRollout only.
    cause: String(row.cause) as RolloutCause,
    commit: toCommit(row),
    verdict: String(row.verdict) as Verdict,
    startedAtMs: Number(row.started_at_ms),
    finishedAtMs: row.finished_at_ms === null ? null : Number(row.finished_at_ms),
    reason: String(row.reason),
  };
}

function toEnforced(row: Record<string, unknown>): EnforcedApp {
  return {
    // Written by insertRollout only.
    app: JSON.parse(String(row.definition)) as App,
    images: JSON.parse(String(row.images)) as Record<string, string>,
    revision: String(row.revision),
  };
}
