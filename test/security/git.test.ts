import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { prepareGitPlace } from "../../agent/source/git-environment.ts";
import { openGitMirror } from "../../agent/source/git-mirror.ts";
import { parseSourceUrl } from "../../agent/source/source-url.ts";

const run = promisify(execFile);
const never = new AbortController().signal;

type Place = {
  readonly repo: string;
  readonly libDir: string;
  git(...args: readonly string[]): Promise<string>;
};

/** A repository of the attacker's and a place for its mirror, gone afterwards. */
async function withRepository(work: (place: Place) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "bt-sec-git-"));
  const [repo, libDir] = [join(root, "repo"), join(root, "lib")];
  mkdirSync(repo);
  mkdirSync(libDir);
  const who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
  const env = { PATH: process.env.PATH, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  const git = async (...args: readonly string[]) =>
    (await run("git", ["-C", repo, ...who, ...args], { env })).stdout.trim();
  try {
    await git("init", "-q", "-b", "main");
    await work({ repo, libDir, git });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function mirrorOf({ repo, libDir }: Place) {
  return openGitMirror({ repo, ref: "main", libDir, fetchTimeoutMs: 20_000 });
}

test("CVE-2022-23521, CVE-2022-41903: attributes and formats of the repository change no byte that is read", (t) =>
  withRepository(async (place) => {
    const attributes = [
      "* export-subst eol=crlf text ident working-tree-encoding=UTF-16",
      ...Array.from({ length: 20_000 }, (_, index) => `f${index} attribute${index}`),
    ];
    writeFileSync(join(place.repo, ".gitattributes"), `${attributes.join("\n")}\n`);
    const text = "$Format:%<(2147483647)%s$ $Id$\n";
    await place.git("commit", "-qm", "empty", "--allow-empty");
    const blob = join(place.libDir, "blob");
    writeFileSync(blob, text);
    // Put in as it is: adding would already convert it.
    const id = await place.git("hash-object", "-w", "--no-filters", blob);
    const own = await place.git("hash-object", "-w", "--no-filters", ".gitattributes");
    await place.git("update-index", "--add", "--cacheinfo", `100644,${id},compose.yaml`);
    await place.git("update-index", "--add", "--cacheinfo", `100644,${own},.gitattributes`);
    await place.git("commit", "-qm", "hostile");
    const mirror = mirrorOf(place);
    const reader = await mirror.open(await mirror.fetch(never), never);
    t.is(Buffer.from((await reader.read("compose.yaml", 1000)) ?? []).toString(), text);
    reader.close();
  }));

test("CVE-2022-23521: attributes too long for git's parser are refused on the way in", (t) =>
  withRepository(async (place) => {
    writeFileSync(join(place.repo, ".gitattributes"), `${"a".repeat(3000)} text\n`);
    await place.git("add", ".gitattributes");
    await place.git("commit", "-qm", "hostile");
    await t.throwsAsync(mirrorOf(place).fetch(never), { message: /gitattributesLineLength/ });
  }));

test("CVE-2025-48385: a repository that names bundles gets no request for them", (t) =>
  withRepository(async (place) => {
    let requests = 0;
    const server = createServer((_request, response) => {
      requests += 1;
      response.end();
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    try {
      const { port } = server.address() as AddressInfo;
      await place.git("commit", "-qm", "one", "--allow-empty");
      for (const [name, value] of [
        ["uploadpack.advertiseBundleURIs", "true"],
        ["bundle.version", "1"],
        ["bundle.mode", "all"],
        ["bundle.evil.uri", `http://127.0.0.1:${port}/evil.bundle`],
      ] as const) {
        await place.git("config", name, value);
      }
      await mirrorOf(place).fetch(never);
      t.is(requests, 0);
    } finally {
      server.close();
    }
  }));

test("CVE-2024-32465, CVE-2022-39253: what a local repository has for hooks and alternates is not used", (t) =>
  withRepository(async (place) => {
    const marker = join(place.libDir, "ran");
    await place.git("commit", "-qm", "one", "--allow-empty");
    for (const name of ["uploadpack.packObjectsHook", "core.sshCommand", "core.gitProxy"]) {
      await place.git("config", name, `touch ${marker}; false`);
    }
    writeFileSync(
      join(place.repo, ".git/objects/info/alternates"),
      "/proc/self/root/nonexistent\n",
    );
    const sha = await mirrorOf(place).fetch(never);
    t.regex(sha, /^[0-9a-f]{40}$/);
    await t.throwsAsync(run("stat", [marker]));
  }));

for (const [name, value] of Object.entries({
  "core.hooksPath": "/dev/null",
  "core.fsmonitor": "false",
  "core.attributesFile": "/dev/null",
  "fetch.fsckObjects": "true",
  "fetch.recurseSubmodules": "false",
  "protocol.allow": "never",
  "protocol.ext.allow": "never",
  "protocol.file.allow": "",
  "submodule.recurse": "false",
  "transfer.bundleURI": "false",
  "transfer.credentialsInUrl": "die",
  "transfer.fsckObjects": "true",
})) {
  const meaning = value === "" ? "not set" : value;
  test(`git works for a repository elsewhere with ${name} ${meaning}`, (t) =>
    withRepository(async ({ libDir }) => {
      const source = parseSourceUrl("https://example.org/fleet.git");
      const place = prepareGitPlace({ libDir, source, objectFormat: "sha1" });
      const args = ["--git-dir", place.gitDir, "config", "--default", "", "--get", name];
      const { stdout } = await run("git", args, { env: { ...place.environment } });
      t.is(stdout.trim(), value);
      t.is(place.environment.GIT_ALLOW_PROTOCOL, "https");
      t.is(place.environment.GIT_CONFIG_NOSYSTEM, "1");
    }));
}
