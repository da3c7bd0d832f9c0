import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "ava";
import { createLog, describeError } from "../../agent/log.ts";
import { openStores } from "../../agent/open-stores.ts";
import { loadSettings } from "../../agent/settings/settings.ts";
import { forgetInventoryOfEarlierBoot } from "../../agent/store/boot.ts";
import { app, desired, service, someCommit } from "../builders/desired-state.ts";

async function withRoot(work: (root: string) => Promise<void> | void): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "bt-agent-store-"));
  try {
    await work(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const dirs = (root: string) => ({
  libDir: join(root, "lib"),
  runDir: join(root, "run"),
  now: Date.now,
});

test("a disk that has no room for a record is named, with what helps", (t) => {
  const database = new DatabaseSync(":memory:");
  database.exec("CREATE TABLE one (text TEXT); PRAGMA max_page_count = 1");
  const error = t.throws(() => database.exec("INSERT INTO one VALUES (zeroblob(100000))"));
  t.is(error.message, "database or disk is full");
  t.is(
    describeError(new Error("cannot stop web", { cause: error })),
    "cannot stop web: the disk of berth's data directory is full: free space there",
  );
  database.close();
});

test("ARCHITECTURE.md names every table of the stores", (t) =>
  withRoot((root) => {
    const stores = openStores(dirs(root));
    const text = readFileSync(new URL("../../ARCHITECTURE.md", import.meta.url), "utf8");
    const names = [stores.stateDatabase, stores.liveDatabase].flatMap((database) =>
      database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'agent_*'")
        .all()
        .map(({ name }) => String(name)),
    );
    stores.close();
    t.true(names.length > 10);
    // Numbers of migrations are told of in a sentence.
    const missing = names.filter(
      (name) => name !== "agent_schema" && !text.includes(`\`${name}\``),
    );
    t.deepEqual(missing, []);
  }));

test("a second agent on the same directories is refused, and may start once the first ended", (t) =>
  withRoot((root) => {
    const first = openStores(dirs(root));
    t.throws(() => openStores(dirs(root)), { message: new RegExp(`pid ${process.pid}`) });
    first.close();
    openStores(dirs(root)).close();
  }));

test("what was accepted and held is there after a restart", (t) =>
  withRoot((root) => {
    const first = openStores(dirs(root));
    const shop = app("shop", [service("web")]);
    const revision = desired("a", [shop]);
    first.state.acceptRevision(revision, { acceptedAtMs: 1, commit: someCommit });
    const held = { app: shop, revision: revision.revision, images: { web: "sha256:1" } };
    first.state.setEnforcedApps([held], []);
    first.state.markByHand({ name: "shop-web-1", action: "stop", specDigest: "d", atMs: 1 });
    first.events.record({ kind: "test", target: "x", message: "m" });
    first.close();
    const second = openStores(dirs(root));
    t.is(second.state.fact("revision.wanted"), revision.revision);
    t.deepEqual(second.state.revision(revision.revision), revision);
    t.deepEqual(second.state.enforcedApps(), [held]);
    t.is(second.state.byHandMarks()[0]?.action, "stop");
    t.is(second.events.recorded()[0]?.message, "m");
    second.close();
  }));

test("a store written by a newer agent is refused", (t) =>
  withRoot((root) => {
    openStores(dirs(root)).close();
    const database = new DatabaseSync(join(root, "lib/state.db"));
    database.exec("INSERT INTO agent_schema (version) VALUES (999)");
    database.close();
    t.throws(() => openStores(dirs(root)), { message: /schema 999, written by a newer berth/ });
    t.throws(() => openStores(dirs(root)), { message: /newer berth/ }, "the lock was let go");
  }));

test("another boot id forgets the inventory of the kernel, the same one keeps it", (t) =>
  withRoot((root) => {
    writeFileSync(join(root, "live.db"), "");
    t.true(forgetInventoryOfEarlierBoot(root, "one"));
    t.throws(() => rmSync(join(root, "live.db")));
    writeFileSync(join(root, "live.db"), "");
    t.false(forgetInventoryOfEarlierBoot(root, "one"));
    t.notThrows(() => rmSync(join(root, "live.db")));
  }));

test("events are bounded by the newest ten thousand", (t) =>
  withRoot((root) => {
    const stores = openStores(dirs(root));
    for (let count = 0; count < 10_050; count += 1) {
      stores.events.record({ kind: "test", target: `${count}`, message: "m" });
    }
    const recorded = stores.events.recorded();
    t.is(recorded.length, 10_000);
    t.is(recorded.at(-1)?.target, "10049");
    stores.close();
  }));

test("flags win over the config file, unknown fields of the file are errors that name it", (t) =>
  withRoot(async (root) => {
    const configFile = join(root, "berth.yaml");
    const options = { configFile, libDir: root, runDir: root, instance: "x" };
    writeFileSync(configFile, "repo: /srv/fleet\nref: stable\ninterval: 1m\n");
    t.like(await loadSettings({ ...options, ref: "main" }), {
      repo: "/srv/fleet",
      ref: "main",
      poll: { kind: "every", intervalMs: 60_000 },
    });
    writeFileSync(configFile, "repo: /srv/fleet\nintervall: 1m\n");
    await t.throwsAsync(loadSettings(options), { message: /berth\.yaml.*intervall/ });
    writeFileSync(configFile, "repo: [");
    await t.throwsAsync(loadSettings(options), { message: /cannot parse the config file/ });
  }));

test("a log line cannot be forged by what it reports", (t) => {
  const lines: string[] = [];
  const write = (line: string) => lines.push(line);
  const log = createLog({ level: "info", format: "logfmt", write, now: () => 0 });
  log.info("step done", { target: 'x\nlevel=error message="forged"' });
  log.debug("unseen");
  t.is(lines.length, 1);
  t.is(lines[0]?.indexOf("\n"), (lines[0]?.length ?? 0) - 1);
});

test("an error is told with its causes, and what Node says of a cause that was explained is not", (t) => {
  const cause = Object.assign(new Error("ENOENT: no such file or directory, stat '/x'"), {
    code: "ENOENT",
  });
  const load = new Error("cannot load /x because there is no such file or directory", { cause });
  t.is(describeError(load), load.message);
  t.is(describeError(new Error("cannot load /x", { cause })), `cannot load /x: ${cause.message}`);
  const refused = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:80"), {
    code: "ECONNREFUSED",
  });
  const pull = new Error("cannot pull (nothing listens, ECONNREFUSED)", { cause: refused });
  t.is(describeError(pull), pull.message);
  t.is(describeError(new Error("cannot pull", { cause: new Error("why") })), "cannot pull: why");
});
