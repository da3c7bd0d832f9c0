import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "ava";
import { openStores } from "../../agent/open-stores.ts";
import { liveMigrations } from "../../agent/store/live-store.ts";
import { openDatabase } from "../../agent/store/open-database.ts";
import { stateMigrations } from "../../agent/store/state-store.ts";
import { app, desired, service } from "../builders/desired-state.ts";

const shop = app("shop", [service("web")]);
const revision = desired("a", [shop]);

/** A store as an agent of an earlier schema has left it: one app, held and healthy, one container stopped by hand. */
function writeOlder(path: string, version: number): void {
  const migrations = stateMigrations.slice(0, version);
  const database = openDatabase({ path, synchronous: "FULL", migrations });
  const definition = JSON.stringify(shop);
  const images = JSON.stringify({ web: "sha256:1" });
  const insert = (into: string, ...values: readonly (string | number)[]) =>
    database
      .prepare(`INSERT INTO ${into} VALUES (${values.map(() => "?").join(", ")})`)
      .run(...values);
  const revisions = "agent_revisions (sha, accepted_at_ms, desired)";
  insert(revisions, revision.revision, 1, JSON.stringify(revision));
  insert("agent_apps", "shop", revision.revision, definition, images);
  insert("agent_by_hand", "shop-web-1", "stop", "digest", 3);
  insert("agent_facts", "revision.wanted", revision.revision);
  const past = ["shop", revision.revision] as const;
  if (version < 4) insert("agent_history", ...past, 1, 2, "healthy", "");
  else
    database
      .prepare(
        `INSERT INTO agent_rollouts (app, revision, cause, started_at_ms, finished_at_ms, verdict,
           reason, definition, images) VALUES (?, ?, 'commit', 1, 2, 'healthy', '', ?, ?)`,
      )
      .run(...past, definition, images);
  database.close();
}

function withStore(work: (dirs: { libDir: string; runDir: string; file: string }) => void): void {
  const root = mkdtempSync(join(tmpdir(), "bt-migration-"));
  const [libDir, runDir] = [join(root, "lib"), join(root, "run")];
  for (const dir of [libDir, runDir]) mkdirSync(dir);
  try {
    work({ libDir, runDir, file: join(libDir, "state.db") });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function schemaOf(path: string): unknown {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return database.prepare("SELECT max(version) AS version FROM agent_schema").get()?.version;
  } finally {
    database.close();
  }
}

for (let version = 1; version < stateMigrations.length; version += 1) {
  test(`a store of schema ${version} is taken over with all it knows, and kept as it was`, (t) =>
    withStore(({ libDir, runDir, file }) => {
      writeOlder(file, version);
      const stores = openStores({ libDir, runDir, now: Date.now });
      const { state } = stores;
      t.deepEqual(state.revision(revision.revision), revision);
      t.like(state.enforcedApps()[0], { app: shop, images: { web: "sha256:1" } });
      t.like(state.rollouts()[0], { app: "shop", verdict: "healthy", finishedAtMs: 2 });
      t.like(state.goodDefinitions("shop")[0], { app: shop, images: { web: "sha256:1" } });
      t.like(state.byHandMarks()[0], { name: "shop-web-1", action: "stop" });
      stores.close();
      t.is(schemaOf(file), stateMigrations.length);
      const kept = `${file}.schema-${version}`;
      t.is(schemaOf(kept), version);
      t.is(statSync(kept).mode & 0o777, 0o600);

      // The way back: the older agent opens what was kept.
      const older = stateMigrations.slice(0, version);
      openDatabase({ path: kept, synchronous: "FULL", migrations: older }).close();
    }));
}

test("what was suspended before the time of it was kept is so since the event of it", (t) =>
  withStore(({ libDir, runDir, file }) => {
    const database = openDatabase({
      path: file,
      synchronous: "FULL",
      migrations: stateMigrations.slice(0, 6),
    });
    database.exec(`INSERT INTO agent_suspended VALUES ('shop'), (''), ('long-ago');
      INSERT INTO agent_events (time_ms, kind, app, target, message, fields) VALUES
        (1, 'app.suspended', NULL, 'shop', '', '{}'), (5, 'app.suspended', NULL, 'shop', '', '{}'),
        (7, 'app.suspended', NULL, 'host', '', '{}'), (9, 'app.resumed', NULL, 'long-ago', '', '{}')`);
    database.close();
    const stores = openStores({ libDir, runDir, now: Date.now });
    const suspended = [...stores.state.suspended()].sort();
    stores.close();
    t.deepEqual(suspended, [
      ["", 7],
      ["long-ago", null],
      ["shop", 5],
    ]);
  }));

test("nothing is kept of a store that is new, or of the newest schema", (t) =>
  withStore(({ libDir, runDir, file }) => {
    for (let opened = 0; opened < 2; opened += 1) {
      openStores({ libDir, runDir, now: Date.now }).close();
    }
    for (const version of [0, stateMigrations.length]) {
      t.false(existsSync(`${file}.schema-${version}`));
    }
  }));

for (const [name, migrations] of [
  ["state.db", stateMigrations],
  ["live.db", liveMigrations],
] as const) {
  test(`a ${name} that a newer agent wrote is refused and left as it is`, (t) =>
    withStore(({ libDir, runDir }) => {
      const path = join(name === "state.db" ? libDir : runDir, name);
      const newer = [...migrations, "CREATE TABLE of_the_future (one TEXT) STRICT"];
      openStores({ libDir, runDir, now: Date.now }).close();
      openDatabase({ path, synchronous: "FULL", migrations: newer }).close();
      t.throws(() => openStores({ libDir, runDir, now: Date.now }), {
        message: /written by a newer berth: \d+ or older is expected$/,
      });
      t.is(schemaOf(path), newer.length);
    }));
}
