import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { describeError } from "../../agent/log.ts";
import { checkRefName, parseSourceUrl } from "../../agent/source/source-url.ts";
import { watchRepository } from "../../agent/source/watch-repository.ts";
import { mirrorOf, never, type Place, withRepository } from "./mirror-place.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

test("a fetch brings the commit and its files, read without a checkout", (t) =>
  withRepository(async (place) => {
    mkdirSync(join(place.repo, "shop"));
    writeFileSync(join(place.repo, "shop/compose.yaml"), "services: {}\n");
    writeFileSync(join(place.repo, "ünïcode name"), "x");
    const head = await place.commit("one");
    const mirror = mirrorOf(place);
    const sha = await mirror.fetch(never);
    t.is(sha, head);
    const reader = await mirror.open(sha, never);
    t.deepEqual(await reader.list(), ["shop/compose.yaml", "ünïcode name"]);
    const [first, second] = await Promise.all([
      reader.read("shop/compose.yaml", 100),
      reader.read("ünïcode name", 100),
    ]);
    t.is(Buffer.from(first ?? []).toString(), "services: {}\n");
    t.is(Buffer.from(second ?? []).toString(), "x");
    t.is(await reader.read("nothing", 100), undefined);
    reader.close();
  }));

test("a file larger than asked for is refused by its size, and the reader goes on", (t) =>
  withRepository(async (place) => {
    writeFileSync(join(place.repo, "big"), Buffer.alloc(200_000, "x"));
    writeFileSync(join(place.repo, "small"), "s");
    await place.commit("one");
    const mirror = mirrorOf(place);
    const reader = await mirror.open(await mirror.fetch(never), never);
    await t.throwsAsync(reader.read("big", 1_000), { code: "EFBIG", message: /at most 1000/ });
    t.is((await reader.read("big", 200_000))?.length, 200_000);
    t.is((await reader.read("small", 10))?.length, 1);
    reader.close();
  }));

test("symbolic links and submodules are no files", (t) =>
  withRepository(async (place) => {
    symlinkSync("/etc/passwd", join(place.repo, "link"));
    writeFileSync(join(place.repo, "file"), "f");
    const head = await place.commit("one");
    await place.git("update-index", "--add", "--cacheinfo", `160000,${head},module`);
    await place.git("commit", "-qm", "two");
    const tree = await place.git("ls-tree", "-r", "HEAD");
    t.regex(tree, /^160000 commit/m);
    t.regex(tree, /^120000 blob/m);
    const mirror = mirrorOf(place);
    const reader = await mirror.open(await mirror.fetch(never), never);
    t.deepEqual(await reader.list(), ["file"]);
    t.is(await reader.read("link", 100), undefined);
    t.is(await reader.read("module", 100), undefined);
    reader.close();
  }));

test("a commit whose .gitmodules would run a command is refused on the way in", (t) =>
  withRepository(async (place) => {
    const modules = '[submodule "m"]\n\tpath = m\n\turl = -u./payload\n';
    writeFileSync(join(place.repo, ".gitmodules"), modules);
    await place.commit("one");
    await t.throwsAsync(mirrorOf(place).fetch(never), { message: /gitmodules/ });
  }));

test("a rewritten branch is followed, a tag is peeled to its commit", (t) =>
  withRepository(async (place) => {
    writeFileSync(join(place.repo, "file"), "1");
    const one = await place.commit("one");
    await place.git("tag", "-a", "v1", "-m", "v1");
    const mirror = mirrorOf(place);
    t.is(await mirror.fetch(never), one);
    await place.git("commit", "-q", "--amend", "-m", "other");
    const amended = await place.git("rev-parse", "HEAD");
    t.is<string, string>(await mirror.fetch(never), amended);
    t.is(await mirrorOf(place, { ref: "v1" }).fetch(never), one);
  }));

test("a ref that is not there is named in the error", (t) =>
  withRepository(async (place) => {
    writeFileSync(join(place.repo, "file"), "1");
    await place.commit("one");
    await t.throwsAsync(mirrorOf(place, { ref: "nope" }).fetch(never), {
      message: /cannot fetch nope from .*couldn't find remote ref nope/,
    });
  }));

test("what git says of a repository that is gone is told once", (t) =>
  withRepository(async (place) => {
    const gone = mirrorOf(place, { repo: join(place.root, "gone") });
    const error = await t.throwsAsync(gone.fetch(never));
    const text = describeError(error);
    t.is(text.split("does not appear to be a git repository").length, 2, text);
    t.notRegex(text, /\n|fatal:|\.;/);
  }));

test("hooks and filters of neither side run", (t) =>
  withRepository(async (place) => {
    const trace = join(place.root, "ran");
    writeFileSync(join(place.repo, ".gitattributes"), "* filter=evil\n");
    writeFileSync(join(place.repo, "file"), "1");
    await place.commit("one");
    await place.git("config", "filter.evil.smudge", `touch ${trace}`);
    await place.git("config", "core.fsmonitor", `touch ${trace}`);
    const mirror = mirrorOf(place);
    const hooks = join(place.libDir, "source.git/hooks");
    mkdirSync(hooks);
    for (const name of ["reference-transaction", "post-fetch", "post-checkout"]) {
      writeFileSync(join(hooks, name), `#!/bin/sh\ntouch ${trace}\n`, { mode: 0o755 });
    }
    const reader = await mirror.open(await mirror.fetch(never), never);
    await reader.read("file", 10);
    reader.close();
    t.is(statSync(trace, { throwIfNoEntry: false }), undefined);
  }));

/** Stands in for ssh: never answers. */
const silentTransports = {
  "that ends when it is told to": "exec sleep 60",
  "that ignores every signal it can": "trap '' HUP INT TERM\nwhile :; do sleep 1; done",
};

for (const [kind, body] of Object.entries(silentTransports)) {
  test.serial(
    `an aborted fetch ends git and everything it started, with a transport ${kind}`,
    (t) =>
      withTransport(body, async (place, transport) => {
        const mirror = mirrorOf(place, { repo: "ssh://host.invalid/repo", timeoutMs: 60_000 });
        const stop = new AbortController();
        const fetched = mirror.fetch(stop.signal);
        await until(() => transport() !== undefined);
        stop.abort(new Error("enough"));
        await t.throwsAsync(fetched);
        const pid = transport() ?? 0;
        await until(() => !isAlive(pid));
        t.false(isAlive(pid));
      }),
  );

  test.serial(`a fetch that does not end is ended by its limit, with a transport ${kind}`, (t) =>
    withTransport(body, async (place, transport) => {
      // Whole seconds: the limit is that of timeout(1), and long enough for git to start on a busy machine.
      const mirror = mirrorOf(place, { repo: "ssh://host.invalid/repo", timeoutMs: 5_000 });
      const began = performance.now();
      await t.throwsAsync(mirror.fetch(new AbortController().signal));
      t.true(performance.now() - began < 50_000);
      const pid = transport() ?? 0;
      await until(() => !isAlive(pid));
      t.false(isAlive(pid));
    }),
  );
}

/** `transport` gives the pid of the program in place of ssh, once it runs. It is ended whatever happens. */
async function withTransport(
  body: string,
  work: (place: Place, transport: () => number | undefined) => Promise<void>,
): Promise<void> {
  await withRepository(async (place) => {
    const bin = join(place.root, "bin");
    const pids = join(place.root, "pids");
    mkdirSync(bin);
    writeFileSync(join(bin, "ssh"), `#!/bin/sh\necho $$ >> ${pids}\n${body}\n`, { mode: 0o755 });
    const transport = () => {
      const [first] = existsSync(pids) ? readFileSync(pids, "utf8").split("\n") : [];
      return first ? Number(first) : undefined;
    };
    const path = process.env.PATH;
    process.env.PATH = `${bin}:${path ?? ""}`;
    try {
      await work(place, transport);
    } finally {
      process.env.PATH = path;
      const pid = transport();
      if (pid !== undefined && isAlive(pid)) process.kill(pid, "SIGKILL");
    }
  });
}

test("a commit is noticed at once in a local repository", (t) =>
  withRepository(async (place) => {
    writeFileSync(join(place.repo, "file"), "1");
    await place.commit("one");
    let changes = 0;
    const watcher = watchRepository({
      path: place.repo,
      log: silent,
      onChange: () => (changes += 1),
    });
    try {
      await until(() => changes > 0);
      changes = 0;
      writeFileSync(join(place.repo, "file"), "2");
      await place.commit("two");
      await until(() => changes > 0);
      t.true(changes > 0);
    } finally {
      await watcher.close();
    }
  }));

test("credentials of a URL are kept out of what git is told on its command line", (t) =>
  withRepository(async (place) => {
    const mirror = mirrorOf(place, { repo: "https://user:s3cret@example.org/fleet.git" });
    t.notRegex(mirror.displayUrl, /s3cret/);
    const file = join(place.libDir, "source.credentials");
    t.is(readFileSync(file, "utf8"), "https://user:s3cret@example.org\n");
    t.is(statSync(file).mode & 0o777, 0o600);
    t.notRegex(readFileSync(join(place.libDir, "source.gitconfig"), "utf8"), /s3cret/);
  }));

for (const url of [
  "ext::sh -c touch% /tmp/x",
  "--upload-pack=touch /tmp/x",
  "-u",
  "git://example.org/x",
  "http://example.org/x",
  "fd::17",
  "https://example.org/%0ahost=evil.example",
  "https://-oProxyCommand=x/y",
  "ssh://-oProxyCommand=x/y",
  "a\nb",
  "",
]) {
  test(`the repository address ${JSON.stringify(url)} is refused`, (t) => {
    t.throws(() => parseSourceUrl(url), { message: /^cannot use the repository/ });
  });
}

for (const ref of [
  "-u",
  "--exec",
  "+main",
  "a..b",
  "main^{tree}",
  "a b",
  "a:b",
  "",
  "@",
  "x.lock",
  "@{-1}",
]) {
  test(`the ref ${JSON.stringify(ref)} is refused`, (t) => {
    t.throws(() => checkRefName(ref), { message: /is not a ref name/ });
  });
}

test("usual addresses and refs are accepted", (t) => {
  t.is(parseSourceUrl("git@example.org:team/fleet.git").allowedProtocols, "ssh");
  t.is(parseSourceUrl("https://example.org/fleet").allowedProtocols, "https");
  t.is(parseSourceUrl("file:///srv/fleet").localPath, "/srv/fleet");
  t.is(parseSourceUrl("/srv/fleet").allowedProtocols, "file");
  for (const ref of ["main", "release/1.2", "refs/heads/main", "HEAD", "v1.0"]) {
    t.is(checkRefName(ref), ref);
  }
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("the condition did not come true within 60 s");
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
