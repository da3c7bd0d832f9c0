import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { sampleImage } from "../api/sample-control.ts";
import { startTestAgent } from "../api/test-agent.ts";
import { runBerth } from "./run-berth.ts";

test("rmi tries every name, says what became of each, and ends with 1 when one failed", async (t) => {
  const agent = await startTestAgent(t, {
    removeImage: async (name) => {
      if (name === "used:1") throw new Error("cannot remove image used:1 because the app needs it");
      const isRemoved = name === "old:1";
      return { digest: sampleImage.digest, references: [name], isRemoved, bytes: 2_097_152 };
    },
  });
  const { code, stdout, stderr } = await runBerth([
    ...["--root", agent.root, "rmi", "old:1", "used:1", "web:1"],
  ]);
  t.is(code, 1);
  t.is(stdout, "removed old:1, freed 2.0 MiB\nuntagged web:1\n");
  t.regex(stderr, /the app needs it/);
});

test("prune passes its wishes on and says what it freed", async (t) => {
  const agent = await startTestAgent(t);
  const options = ["--all", "--filter", "until=24h", "--dry-run"];
  const { stdout } = await runBerth(["--root", agent.root, "prune", ...options]);
  t.regex(stdout, /<none> +cdcdcdcdcdcd +1.0 MiB\nwould free 1.0 MiB/);
  t.deepEqual(agent.calls, ['prune {"all":true,"dryRun":true,"olderThanMs":86400000}']);
  const { code, stderr } = await runBerth(["--root", agent.root, "prune", "--filter", "24h"]);
  t.is(code, 2);
  t.regex(stderr, /until=DURATION is expected/);
});

test("load and import read standard input as the agent reads a file, and nothing of it stays", async (t) => {
  const archive = randomBytes(3_000_000);
  const read: Buffer[] = [];
  const take = (path: string) => void read.push(readFileSync(path));
  const agent = await startTestAgent(t, {
    load: async (path) => {
      take(path);
      return [sampleImage];
    },
    importImage: async (path) => {
      take(path);
      return sampleImage;
    },
  });
  const run = (...args: readonly string[]) =>
    runBerth(["--root", agent.root, ...args], archive, { TMPDIR: agent.root });
  const before = readdirSync(agent.root);
  for (const args of [["load"], ["load", "-"], ["import", "-", "web:1"]]) {
    t.is((await run(...args)).code, 0, args.join(" "));
  }
  t.true(read.every((bytes) => bytes.equals(archive)));
  t.is(read.length, 3);
  t.deepEqual(readdirSync(agent.root), before);
  const both = await run("load", "-i", "one.tar", "two.tar");
  t.is(both.code, 2);
  t.regex(both.stderr, /cannot load both two\.tar and one\.tar/);
});

test("history is printed newest first, with the layers that steps made", async (t) => {
  const agent = await startTestAgent(t);
  const { stdout } = await runBerth(["--root", agent.root, "history", "web:1"]);
  t.deepEqual(
    stdout
      .trim()
      .split(/\n/)
      .map((line) => line.replace(/ {2,}/g, "|")),
    [
      "LAYER|CREATED|SIZE|BY",
      '-|-|-|CMD ["web"] # buildkit',
      "cdcdcdcdcdcd|-|1.0 KiB|ADD rootfs.tar /",
    ],
  );
});

test("tag prints the image with its names", async (t) => {
  const agent = await startTestAgent(t);
  const { stdout } = await runBerth(["--root", agent.root, "tag", "cdcdcd", "web:stable"]);
  t.is(stdout, `docker.io/library/web:1 web:stable ${sampleImage.digest}\n`);
  t.deepEqual(agent.calls, ["tag cdcdcd web:stable"]);
});

test("save writes the archive to a file that is there only when it is whole", async (t) => {
  const agent = await startTestAgent(t, {
    saveImages: async function* (names) {
      yield Buffer.from("the beginning");
      if (names.includes("broken:1")) throw new Error("the disk is damaged");
      yield Buffer.from(" and the end");
    },
  });
  const path = join(agent.root, "out.tar");
  const failed = await runBerth(["--root", agent.root, "save", "-o", path, "broken:1"]);
  t.is(failed.code, 1);
  t.regex(failed.stderr, /cannot finish because the agent ended meanwhile/);
  t.deepEqual(
    readdirSync(agent.root).filter((name) => name.startsWith("out")),
    [],
  );
  const { stdout } = await runBerth(["--root", agent.root, "save", "-o", path, "web:1"]);
  t.is(stdout, `saved ${path}, 25 B\n`);
  t.is(readFileSync(path, "utf8"), "the beginning and the end");
  const piped = await runBerth(["--root", agent.root, "save", "--format", "oci-archive", "a", "b"]);
  t.is(piped.stdout, "the beginning and the end");
});

test("import, commit and export pass on what is said of the image and the container", async (t) => {
  const agent = await startTestAgent(t);
  const run = (...args: string[]) => runBerth(["--root", agent.root, ...args]);
  await run("import", "-c", "ENV A=1", "-c", 'CMD ["web"]', "-m", "mine", "/tmp/root.tar", "own:1");
  await run("commit", "--no-pause", "-a", "you", "shop/web", "own:2");
  const path = join(agent.root, "web.tar");
  t.is((await run("export", "-o", path, "shop/web")).stdout, `exported ${path}, 16 B\n`);
  t.is(readFileSync(path, "utf8"), "root of shop/web");
  t.deepEqual(agent.calls, [
    'import /tmp/root.tar {"reference":"own:1","changes":["ENV A=1","CMD [\\"web\\"]"],"message":"mine"}',
    'commit shop/web {"pause":false,"author":"you","reference":"own:2","changes":[]}',
    "export shop/web false",
  ]);
});
