import type { DatabaseSync } from "node:sqlite";
import type { App, DesiredState, SecretFormat } from "../../manifests/desired-state.ts";
import { deliveryMethods, deliveryMigration } from "./delivery-store.ts";
import { type CommitSummary, deployRecordMigration } from "./deploy-record.ts";
import { inTransaction, type Migrations } from "./open-database.ts";
import {
  type EnforcedApp,
  rolloutMethods,
  rolloutMigration,
  suspensionMigration,
} from "./rollout-store.ts";
import { endedRunMigration, runMethods, runMigration } from "./run-store.ts";

/** `hold`: it is made, and started by who runs it once they are attached. */
export type ByHandAction = "stop" | "start" | "restart" | "kill" | "hold";

/** What an operator did to a container, valid while its service keeps this digest. */
export type ByHandMark = {
  readonly name: string;
  readonly action: ByHandAction;
  readonly specDigest: string;
  readonly atMs: number;
};

export const stateMigrations: Migrations = [
  `CREATE TABLE agent_revisions (
     sha TEXT PRIMARY KEY, accepted_at_ms INTEGER NOT NULL, desired TEXT NOT NULL) STRICT;
   CREATE TABLE agent_apps (
     name TEXT PRIMARY KEY, revision TEXT NOT NULL, app TEXT NOT NULL, images TEXT NOT NULL) STRICT;
   CREATE TABLE agent_history (
     app TEXT NOT NULL, revision TEXT NOT NULL, started_at_ms INTEGER NOT NULL,
     finished_at_ms INTEGER, verdict TEXT NOT NULL, reason TEXT NOT NULL,
     PRIMARY KEY (app, revision)) STRICT;
   CREATE TABLE agent_by_hand (
     name TEXT PRIMARY KEY, action TEXT NOT NULL, spec_digest TEXT NOT NULL,
     at_ms INTEGER NOT NULL) STRICT;
   CREATE TABLE agent_completed (
     name TEXT PRIMARY KEY, spec_digest TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
   CREATE TABLE agent_events (
     id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, kind TEXT NOT NULL, app TEXT,
     target TEXT NOT NULL, message TEXT NOT NULL, fields TEXT NOT NULL) STRICT;
   CREATE TABLE agent_facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`,
  `CREATE TABLE agent_previous_images (app TEXT PRIMARY KEY, images TEXT NOT NULL) STRICT;`,
  `CREATE TABLE agent_revision_trees (
     sha TEXT NOT NULL, tree TEXT NOT NULL, PRIMARY KEY (sha, tree)) STRICT;`,
  rolloutMigration,
  `CREATE TABLE agent_secrets (
     digest TEXT PRIMARY KEY, tree TEXT NOT NULL, format TEXT NOT NULL) STRICT;`,
  runMigration,
  suspensionMigration,
  deployRecordMigration,
  endedRunMigration,
  deliveryMigration,
];

/** Facts kept by name: the last good fetch, the revision that runs. */
export type FactKey =
  | "source.fetched-at-ms"
  | "revision.running"
  | "revision.wanted"
  | `memory-before.${string}`
  | `notified.${string}`
  | `trusted.${string}`;

const revisionsMax = 50;

/** What must outlive a power cut, in `lib/state.db`. A method is one committed transaction, or part of a larger one. */
export type StateStore = ReturnType<typeof createStateStore>;

export function createStateStore(database: DatabaseSync) {
  return {
    ...revisionMethods(database),
    ...appMethods(database),
    ...rolloutMethods(database),
    ...previousMethods(database),
    ...markMethods(database),
    ...factMethods(database),
    ...secretMethods(database),
    ...runMethods(database),
    ...deliveryMethods(database),
  };
}

/** Where the plain content that a digest stands for can be had again. */
export type StoredSecret = { readonly tree: string; readonly format: SecretFormat };

function secretMethods(database: DatabaseSync) {
  const upsert = database.prepare(
    "INSERT OR REPLACE INTO agent_secrets (digest, tree, format) VALUES (?, ?, ?)",
  );
  const select = database.prepare("SELECT tree, format FROM agent_secrets WHERE digest = ?");
  const trees = database.prepare("SELECT digest, tree FROM agent_secrets");
  const remove = database.prepare("DELETE FROM agent_secrets WHERE digest = ?");
  return {
    rememberSecret: (digest: string, { tree, format }: StoredSecret): void =>
      void upsert.run(digest, tree, format),
    secret(digest: string): StoredSecret | undefined {
      const row = select.get(digest);
      if (row === undefined) return undefined;
      // Written by rememberSecret only.
      return { tree: String(row.tree), format: String(row.format) as SecretFormat };
    },
    /** Forgets secrets whose file is not among these. */
    forgetSecretsBut(kept: ReadonlySet<string>): void {
      for (const row of trees.all()) {
        if (!kept.has(String(row.tree))) remove.run(String(row.digest));
      }
    },
  };
}

function revisionMethods(database: DatabaseSync) {
  const insert = database.prepare(
    `INSERT OR REPLACE INTO agent_revisions (sha, accepted_at_ms, desired, author, subject)
       VALUES (?, ?, ?, ?, ?)`,
  );
  const trim = database.prepare(
    `DELETE FROM agent_revisions WHERE sha NOT IN
       (SELECT sha FROM agent_revisions ORDER BY accepted_at_ms DESC LIMIT ${revisionsMax})`,
  );
  const select = database.prepare("SELECT desired FROM agent_revisions WHERE sha = ?");
  const liftOthers = database.prepare("DELETE FROM agent_quarantine WHERE revision <> ?");
  const wanted = database.prepare("SELECT value FROM agent_facts WHERE key = 'revision.wanted'");
  const forgetRemoved = database.prepare(
    "DELETE FROM agent_previous_images WHERE app NOT IN (SELECT name FROM agent_apps)",
  );
  const insertTree = database.prepare(
    "INSERT OR IGNORE INTO agent_revision_trees (sha, tree) VALUES (?, ?)",
  );
  const trimTrees = database.prepare(
    "DELETE FROM agent_revision_trees WHERE sha NOT IN (SELECT sha FROM agent_revisions)",
  );
  const trees = database.prepare("SELECT DISTINCT tree FROM agent_revision_trees");
  const find = database.prepare(
    "SELECT desired FROM agent_revisions WHERE substr(sha, 1, length(?1)) = ?1 ORDER BY accepted_at_ms DESC",
  );
  return {
    /** By a prefix of its sha. */
    findRevision(prefix: string): DesiredState | undefined {
      const row = find.get(prefix);
      // Written by acceptRevision only.
      return row === undefined ? undefined : (parseJson(row.desired) as DesiredState);
    },
    acceptRevision(
      desired: DesiredState,
      { acceptedAtMs, commit }: { readonly acceptedAtMs: number; readonly commit: CommitSummary },
    ): void {
      inTransaction(database, () => {
        // The revision before this one has not had the apps that are gone.
        if (wanted.get()?.value !== desired.revision) forgetRemoved.run();
        const text = JSON.stringify(desired);
        insert.run(desired.revision, acceptedAtMs, text, commit.author, commit.subject);
        trim.run();
        for (const tree of Object.keys(desired.trees ?? {})) insertTree.run(desired.revision, tree);
        trimTrees.run();
        setFact(database, "revision.wanted", desired.revision);
        liftOthers.run(desired.revision);
      });
    },
    revision(sha: string): DesiredState | undefined {
      const row = select.get(sha);
      // Written by acceptRevision only.
      return row === undefined ? undefined : (parseJson(row.desired) as DesiredState);
    },
    /** Digests of the trees of all revisions that are kept. */
    revisionTrees: (): readonly string[] => trees.all().map((row) => String(row.tree)),
  };
}

function appMethods(database: DatabaseSync) {
  const upsert = database.prepare(
    "INSERT OR REPLACE INTO agent_apps (name, revision, app, images) VALUES (?, ?, ?, ?)",
  );
  const remove = database.prepare("DELETE FROM agent_apps WHERE name = ?");
  // What an app had is kept beside it when its images become others, and when it goes.
  const keepChanged = database.prepare(
    `INSERT OR REPLACE INTO agent_previous_images
       SELECT name, images FROM agent_apps WHERE name = ? AND images <> ?`,
  );
  const select = database.prepare("SELECT revision, app, images FROM agent_apps ORDER BY name");
  return {
    enforcedApps(): EnforcedApp[] {
      // Written by setEnforcedApps only.
      return select.all().map((row) => ({
        app: parseJson(row.app) as App,
        revision: String(row.revision),
        images: parseJson(row.images) as Record<string, string>,
      }));
    },
    /** Replaces and removes several apps at once, together with what `also` writes. */
    setEnforcedApps(
      changed: readonly EnforcedApp[],
      removed: readonly string[],
      also: () => void = () => {},
    ): void {
      inTransaction(database, () => {
        for (const { app, revision, images } of changed) {
          keepChanged.run(app.name, JSON.stringify(images));
          upsert.run(app.name, revision, JSON.stringify(app), JSON.stringify(images));
        }
        for (const name of removed) {
          keepChanged.run(name, "");
          remove.run(name);
        }
        also();
      });
    },
  };
}

function previousMethods(database: DatabaseSync) {
  const previous = database.prepare("SELECT app, images FROM agent_previous_images");
  return {
    /** App -> digests that its services had before their images changed last. */
    previousImages(): Map<string, readonly string[]> {
      return new Map(
        previous
          .all()
          // Written by setEnforcedApps only.
          .map((row) => [
            String(row.app),
            Object.values(parseJson(row.images) as Record<string, string>),
          ]),
      );
    },
  };
}

function markMethods(database: DatabaseSync) {
  const mark = database.prepare(
    "INSERT OR REPLACE INTO agent_by_hand (name, action, spec_digest, at_ms) VALUES (?, ?, ?, ?)",
  );
  const unmark = database.prepare("DELETE FROM agent_by_hand WHERE name = ?");
  const marks = database.prepare("SELECT * FROM agent_by_hand");
  const complete = database.prepare(
    "INSERT OR REPLACE INTO agent_completed (name, spec_digest, at_ms) VALUES (?, ?, ?)",
  );
  const forget = database.prepare("DELETE FROM agent_completed WHERE name = ?");
  const completed = database.prepare("SELECT name, spec_digest FROM agent_completed");
  return {
    markByHand(entry: ByHandMark): void {
      mark.run(entry.name, entry.action, entry.specDigest, entry.atMs);
    },
    unmarkByHand: (name: string): void => void unmark.run(name),
    byHandMarks(): ByHandMark[] {
      return marks.all().map((row) => ({
        name: String(row.name),
        // Written by markByHand only.
        action: String(row.action) as ByHandAction,
        specDigest: String(row.spec_digest),
        atMs: Number(row.at_ms),
      }));
    },
    /** A job that ended with 0 and is not to run again, also not after a reboot. */
    markCompleted(name: string, specDigest: string, atMs: number): void {
      complete.run(name, specDigest, atMs);
    },
    unmarkCompleted: (name: string): void => void forget.run(name),
    /** Container name -> digest of the spec that completed. */
    completed(): Map<string, string> {
      return new Map(completed.all().map((row) => [String(row.name), String(row.spec_digest)]));
    },
  };
}

function factMethods(database: DatabaseSync) {
  const select = database.prepare("SELECT value FROM agent_facts WHERE key = ?");
  const remove = database.prepare("DELETE FROM agent_facts WHERE key = ?");
  return {
    fact(key: FactKey): string | undefined {
      const row = select.get(key);
      return row === undefined ? undefined : String(row.value);
    },
    setFact: (key: FactKey, value: string): void => setFact(database, key, value),
    forgetFact: (key: FactKey): void => void remove.run(key),
  };
}

function setFact(database: DatabaseSync, key: FactKey, value: string): void {
  database.prepare("INSERT OR REPLACE INTO agent_facts (key, value) VALUES (?, ?)").run(key, value);
}

function parseJson(value: unknown): unknown {
  return JSON.parse(String(value));
}
