import { execFile } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { isCommitTooLarge } from "../../agent/source/commit-tree.ts";
import { SourceLoop } from "../../agent/source/source-loop.ts";
import type { CommitSha } from "../../manifests/desired-state.ts";
import { withHost } from "../simulation/simulated-host.ts";
import { mirrorOf, never, type Place, withRepository } from "./mirror-place.ts";

const run = promisify(execFile);

for (const [what, padding, reason] of [
  ["files", "", /it has more than 200000 files/],
  ["long names", "n".repeat(100), /list of files is larger than 64 MiB/],
] as const) {
  test(`ten trees of ten levels that stand for billions of ${what} are refused at once`, (t) =>
    withRepository(async (place) => {
      await commitBomb(place, padding);
      const mirror = mirrorOf(place);
      const sha = await mirror.fetch(never);
      const startedAtMs = Date.now();
      const memoryBefore = process.memoryUsage.rss();
      const error = await t.throwsAsync(mirror.open(sha, never), { message: reason });
      t.true(isCommitTooLarge(error));
      t.true(Date.now() - startedAtMs < 60_000);
      t.true(process.memoryUsage.rss() - memoryBefore < 400 * 1_048_576);
      // It is not tried again: another answer would be a new error.
      t.is(await t.throwsAsync(mirror.open(sha, never)), error);
      writeFileSync(join(place.repo, "file"), "f");
      await place.git("read-tree", "--empty");
      await place.commit("small again");
      const reader = await mirror.open(await mirror.fetch(never), never);
      t.deepEqual(await reader.list(), ["file", "leaf"]);
      reader.close();
    }));
}

test("the agent says why such a commit is refused, and looks again when the ref moves", (t) =>
  withRepository((place) =>
    withHost(async (host) => {
      const refused = await commitBomb(place, "");
      const mirror = mirrorOf(place);
      const opened: CommitSha[] = [];
      const loop = new SourceLoop(host.core, {
        ...mirror,
        open(revision, abort) {
          opened.push(revision);
          return mirror.open(revision, abort);
        },
      });
      await loop.refresh(never);
      await loop.refresh(never);
      t.is(opened.join(), refused);
      t.is<string | null, string>(loop.state.seen, refused);
      t.is(loop.state.error, null);
      t.regex(loop.state.errors.join(), /^cannot read commit .* because it has more than 200000/);
      writeFileSync(join(place.repo, "leaf"), "services: {}\n");
      await place.git("read-tree", "--empty");
      const fine = await place.commit("small again");
      await loop.refresh(never);
      t.is(loop.state.seen, fine);
      t.false(loop.state.errors.join().includes("200000"));
    }),
  ));

test("what piled up in the mirror is packed, and what the ref left is removed", (t) =>
  withRepository(async (place) => {
    writeFileSync(join(place.repo, "file"), "1");
    await place.commit("one");
    const mirror = mirrorOf(place);
    await mirror.fetch(never);
    const gitDir = join(place.libDir, "source.git");
    // As after many rewritten branches, and a fetch that was ended.
    const left = Array.from({ length: 3_000 }, (_, number) => join(place.root, `left-${number}`));
    for (const path of left) writeFileSync(path, path.slice(place.root.length));
    const paths = join(place.root, "paths");
    writeFileSync(paths, `${left.join("\n")}\n`);
    const store = 'git --git-dir "$1" hash-object -w --stdin-paths < "$2"';
    await run("sh", ["-c", store, "sh", gitDir, paths], { maxBuffer: 1_048_576 });
    writeFileSync(join(gitDir, "objects/pack/tmp_pack_left"), "half");
    await place.git("commit", "-q", "--allow-empty", "-m", "two");
    const tidying = mirror.maintain(never);
    t.is(mirror.maintain(never), tidying);
    const sha = await mirror.fetch(never);
    await tidying;
    const counted = await place.git("--git-dir", gitDir, "count-objects", "-v");
    t.regex(counted, /^count: \d\n/m);
    t.regex(counted, /^in-pack: 4$/m);
    t.false(existsSync(join(gitDir, "objects/pack/tmp_pack_left")));
    const reader = await mirror.open(sha, never);
    t.deepEqual(await reader.list(), ["file"]);
    reader.close();
  }));

/** Moves the branch to a commit of ten small trees that stand for ten thousand million files. */
async function commitBomb(place: Place, padding: string): Promise<string> {
  writeFileSync(join(place.repo, "leaf"), "x");
  const blob = await place.git("hash-object", "-w", "leaf");
  let tree = await makeTree(place, `100644 blob ${blob}`, padding);
  for (let level = 1; level < 10; level += 1) {
    tree = await makeTree(place, `040000 tree ${tree}`, padding);
  }
  const commit = await place.git("commit-tree", tree, "-m", "bomb");
  await place.git("update-ref", "refs/heads/main", commit);
  return commit;
}

/** A tree that has the same object ten times. */
async function makeTree(place: Place, object: string, pad: string): Promise<string> {
  const lines = Array.from({ length: 10 }, (_, index) => `${object}\t${pad}${index}\n`);
  const list = join(place.root, "tree");
  writeFileSync(list, lines.join(""));
  const { stdout } = await run("sh", ["-c", 'git -C "$1" mktree < "$2"', "sh", place.repo, list]);
  return stdout.trim();
}
