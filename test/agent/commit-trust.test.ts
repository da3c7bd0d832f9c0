import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { openGitMirror } from "../../agent/source/git-mirror.ts";
import { parseCommit } from "../../agent/source/trust/commit-object.ts";
import type { CommitTrust } from "../../agent/source/trust/distrust.ts";
import type { CommitSha } from "../../manifests/desired-state.ts";
import { never, type Place, withRepository } from "./mirror-place.ts";

const noRewrite = { allowRewrite: false };

test("a ref that moves backwards or sideways is refused until the operator allows it", (t) =>
  withRepository(async (place) => {
    const follow = follower(place, { signed: "none", allowRewrites: false });
    const one = await commit(place, "one");
    t.is(await follow(), undefined);
    const two = await commit(place, "two");
    t.is(await follow(), undefined);
    await place.git("reset", "-q", "--hard", one);
    const refused = new RegExp(`${one.slice(0, 12)} does not contain ${two.slice(0, 12)}`);
    t.regex((await follow()) ?? "", refused);
    await commit(place, "sideways");
    t.regex((await follow()) ?? "", /rewound or rewritten.*--allow-rewrite/);
    // Another agent on the same mirror knows what was trusted.
    const again = follower(place, { signed: "none", allowRewrites: false });
    t.regex((await again()) ?? "", /rewound or rewritten/);
    t.is(await again({ allowRewrite: true }), undefined);
    await commit(place, "on");
    t.is(await again(), undefined);
    await place.git("reset", "-q", "--hard", two);
    t.is(await follower(place, { signed: "none", allowRewrites: true })(), undefined);
  }));

test("another ref begins a history of its own", (t) =>
  withRepository(async (place) => {
    const one = await commit(place, "one");
    await commit(place, "two");
    t.is(await follower(place, { signed: "none", allowRewrites: false })(), undefined);
    await place.git("branch", "old", one);
    const old = follower(place, { signed: "none", allowRewrites: false }, "old");
    t.is(await old(), undefined);
  }));

test("with ssh signatures required, only commits by an allowed signer are followed", (t) =>
  withRepository(async (place) => {
    const { key, allowedSigners } = sshSigner(place, "alice");
    const { key: strange } = sshSigner(place, "mallory");
    const follow = follower(place, { signed: "tip", allowRewrites: false, allowedSigners });
    await commit(place, "plain");
    t.regex((await follow()) ?? "", /by a <a@example\.org> is not trusted: it is not signed/);
    await commit(place, "signed", sshOptions(key));
    t.is(await follow(), undefined);
    await commit(place, "strange", sshOptions(strange));
    t.regex((await follow()) ?? "", /its ssh key is none of .*alice\.signers/);
    await tamper(place, "signed again", sshOptions(key));
    t.regex((await follow()) ?? "", /its ssh signature is not good/);
  }));

test("with every signature required, one unsigned commit on the way is refused", (t) =>
  withRepository(async (place) => {
    const { key, allowedSigners } = sshSigner(place, "alice");
    const follow = follower(place, { signed: "all", allowRewrites: false, allowedSigners });
    await commit(place, "before");
    await commit(place, "first", sshOptions(key));
    // What came before the first trusted commit is taken with it.
    t.is(await follow(), undefined);
    const hidden = await commit(place, "hidden");
    await commit(place, "second", sshOptions(key));
    const refused = new RegExp(`commit ${hidden.slice(0, 12)} .* it is not signed`);
    t.regex((await follow()) ?? "", refused);
    await place.git("reset", "-q", "--hard", "HEAD~2");
    await commit(place, "third", sshOptions(key));
    t.is(await follow(), undefined);
  }));

test("OpenPGP signatures are held against the keyring", (t) =>
  withRepository(async (place) => {
    const alice = gpgSigner(place, "alice");
    const mallory = gpgSigner(place, "mallory");
    try {
      const keys = { gpgKeyring: alice.keyring };
      const follow = follower(place, { signed: "tip", allowRewrites: true, ...keys });
      await commit(place, "signed", alice.options);
      t.is(await follow(), undefined);
      await commit(place, "strange", mallory.options);
      t.regex((await follow()) ?? "", /its OpenPGP key is none of .*alice\.gpg/);
      await tamper(place, "tampered", alice.options);
      t.regex((await follow()) ?? "", /its OpenPGP signature is not good \(gpgv: /);
      const { allowedSigners } = sshSigner(place, "bob");
      const ssh = follower(place, { signed: "tip", allowRewrites: true, allowedSigners });
      t.regex((await ssh()) ?? "", /of the kind openpgp, for which no keys are named/);
    } finally {
      for (const home of [alice.home, mallory.home]) {
        execFileSync("gpgconf", ["--homedir", home, "--kill", "all"]);
      }
    }
  }));

test("a commit with two signatures counts as unsigned", (t: ExecutionContext) => {
  const signature = "gpgsig -----BEGIN SSH SIGNATURE-----\n abc\n -----END SSH SIGNATURE-----\n";
  const head = "tree 1\nauthor A <a@b> 1 +0000\ncommitter C <c@d> 7 +0000\n";
  const one = parseCommit(Buffer.from(`${head}${signature}\n\nSubject\n\nBody\n`), "gpgsig");
  t.like(one, { author: "A <a@b>", subject: "Subject", committedAtSeconds: 7 });
  t.is(one.payload.toString(), `${head}\n\nSubject\n\nBody\n`);
  t.is(one.signature?.kind, "ssh");
  const two = parseCommit(Buffer.from(`${head}${signature}${signature}\nSubject\n`), "gpgsig");
  t.is(two.signature, undefined);
});

test("a mirror that is made anew forgets nothing of what was trusted", (t) =>
  withRepository(async (place) => {
    const follow = follower(place, { signed: "none", allowRewrites: false });
    const one = await commit(place, "one");
    t.is(await follow(), undefined);
    await commit(place, "two");
    t.is(await follow(), undefined);
    await place.git("reset", "-q", "--hard", one);
    rmSync(join(place.libDir, "source.git"), { recursive: true });
    const again = follower(place, { signed: "none", allowRewrites: false });
    t.regex((await again()) ?? "", /rewound or rewritten/);
  }));

test("a repository of SHA-256 is followed by the next agent, too, and may become one of SHA-1", (t) =>
  withRepository(async (place) => {
    const modern = join(place.root, "modern");
    await place.git("init", "-q", "-b", "main", "--object-format=sha256", modern);
    const inModern = { ...place, repo: modern, git: place.in(modern) };
    const trust = { signed: "none", allowRewrites: false } as const;
    const one = await commit(inModern, "one");
    await commit(inModern, "two");
    t.is(await follower(inModern, trust)(), undefined);
    await inModern.git("reset", "-q", "--hard", one);
    t.regex((await follower(inModern, trust)()) ?? "", /rewound or rewritten/);
    await commit(place, "other");
    t.is(await follower(place, trust)(), undefined);
  }));

/** What the agents of one place remember. */
const memories = new Map<string, Map<string, string>>();

/** Fetches, and says why what was fetched is not followed. */
function follower(place: Place, trust: CommitTrust, ref = "main") {
  const { repo, libDir } = place;
  const memory = memories.get(libDir) ?? new Map<string, string>();
  memories.set(libDir, memory);
  const trustMemory = {
    read: (source: string) => memory.get(source),
    write: (source: string, revision: string) => void memory.set(source, revision),
  };
  const mirror = openGitMirror({ repo, ref, libDir, fetchTimeoutMs: 20_000, trust, trustMemory });
  return async (options = noRewrite) => mirror.distrust(await mirror.fetch(never), options, never);
}

async function commit(
  place: Place,
  message: string,
  options: readonly string[] = [],
): Promise<CommitSha> {
  writeFileSync(join(place.repo, "file"), `${message}\n`);
  await place.git("add", "-A");
  await place.git(...options, "commit", "-q", "-m", message);
  // git answers with the object's name.
  return (await place.git("rev-parse", "HEAD")) as CommitSha;
}

/** Moves the branch to a signed commit whose message was changed afterwards. */
async function tamper(place: Place, message: string, options: readonly string[]): Promise<void> {
  await commit(place, message, options);
  const object = await place.git("cat-file", "commit", "HEAD");
  const changed = join(place.root, "tampered");
  writeFileSync(changed, `${object.replace(message, `${message}!`)}\n`);
  const sha = await place.git("hash-object", "-t", "commit", "-w", changed);
  await place.git("update-ref", "refs/heads/main", sha);
}

function sshSigner(place: Place, name: string) {
  const key = join(place.root, name);
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key]);
  const allowedSigners = join(place.root, `${name}.signers`);
  const line = `${name}@example.org namespaces="git" ${readFileSync(`${key}.pub`, "utf8")}`;
  writeFileSync(allowedSigners, line);
  return { key, allowedSigners };
}

function sshOptions(key: string): string[] {
  return ["gpg.format=ssh", `user.signingKey=${key}`, "commit.gpgSign=true"].flatMap((setting) => [
    "-c",
    setting,
  ]);
}

function gpgSigner(place: Place, name: string) {
  const home = join(place.root, `${name}-home`);
  mkdirSync(home, { mode: 0o700 });
  const gpg = (...args: readonly string[]) =>
    execFileSync("gpg", ["--homedir", home, "--batch", "--quiet", ...args], { stdio: "pipe" });
  gpg("--passphrase", "", "--quick-generate-key", `${name}@example.org`, "ed25519", "sign");
  const keyring = join(place.root, `${name}.gpg`);
  writeFileSync(keyring, gpg("--export"));
  const program = join(place.root, `${name}-program`);
  writeFileSync(program, `#!/bin/sh\nexec gpg --homedir ${home} "$@"\n`, { mode: 0o755 });
  const settings = ["gpg.format=openpgp", `user.signingKey=${name}@example.org`];
  const options = [...settings, `gpg.program=${program}`, "commit.gpgSign=true"];
  return { home, keyring, options: options.flatMap((setting) => ["-c", setting]) };
}
