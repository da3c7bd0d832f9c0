import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { outcome, runBerth, startBerth } from "./run-berth.ts";

test("a secret is encrypted to who berth.yaml names, edited, and encrypted to another host", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "bt-secrets-"));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const at = (name: string) => join(dir, name);
  const secrets = (...args: readonly string[]) => runBerth(["secrets", ...args]);
  const keygen = async (name: string) => {
    const made = await secrets("keygen", at(name));
    t.is(made.code, 0, made.stderr);
    t.is(statSync(at(name)).mode & 0o777, 0o600);
    t.false((made.stdout + made.stderr).includes("AGE-SECRET-KEY"));
    return made.stdout.trim();
  };
  const [first, second] = [await keygen("one.txt"), await keygen("two.txt")];
  t.regex((await secrets("keygen", at("one.txt"))).stderr, /it is there already/);
  writeFileSync(at("berth.yaml"), `apps: {}\nhosts: { web1: { recipient: ${first} } }\n`);
  writeFileSync(at("pw"), "sesame\n");
  writeFileSync(at("conf.yaml"), "user: bob\n");
  writeFileSync(at("given"), "to the second one");
  t.is((await secrets("encrypt", "-r", first, "-r", second, at("given"))).code, 0);
  t.true(existsSync(at("given.age")));
  rmSync(at("given.age"));
  t.is((await secrets("encrypt", at("pw"))).code, 0);
  t.false(existsSync(at("pw")));
  t.is((await secrets("encrypt", "--sops", at("conf.yaml"))).code, 0);
  t.false(readFileSync(at("conf.yaml"), "utf8").includes("bob"));
  t.regex((await secrets("encrypt", at("pw.age"))).stderr, /encrypted already/);

  writeFileSync(at("editor"), '#!/bin/sh\nsed -i "s/sesame/tahini/" "$1"\n');
  chmodSync(at("editor"), 0o755);
  const edit = async (...args: readonly string[]) =>
    outcome(startBerth(["secrets", "edit", ...args, at("pw.age")], { EDITOR: at("editor") }));
  t.is((await edit("-i", at("one.txt"))).code, 0);
  const before = readFileSync(at("pw.age"), "utf8");
  t.regex((await edit("-i", at("one.txt"))).stderr, /was not changed/);
  t.is(readFileSync(at("pw.age"), "utf8"), before);
  t.regex((await edit("-i", at("two.txt"))).stderr, /not encrypted to this host/);

  writeFileSync(at("berth.yaml"), `apps: {}\nhosts: { web2: { recipient: ${second} } }\n`);
  const rekeyed = await secrets("rekey", "-i", at("one.txt"), dir);
  t.is(rekeyed.code, 0, rekeyed.stderr);
  t.regex(rekeyed.stderr, /conf\.yaml is encrypted to 1 [\s\S]*pw\.age is encrypted to 1 /);
  t.regex((await edit("-i", at("one.txt"))).stderr, /not encrypted to this host/);
  t.regex((await edit("-i", at("two.txt"))).stderr, /was not changed/);
  chmodSync(at("two.txt"), 0o644);
  t.regex((await edit("-i", at("two.txt"))).stderr, /others may read it: chmod 600/);
});

test("an action that is none, and a missing recipient, are told with what would do", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "bt-secrets-"));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const unknown = await runBerth(["secrets", "show", "x"]);
  t.is(unknown.code, 2);
  t.regex(unknown.stderr, /keygen, encrypt, edit, rekey is expected/);
  writeFileSync(join(dir, "pw"), "x");
  const nobody = await runBerth(["secrets", "encrypt", join(dir, "pw")]);
  t.regex(nobody.stderr, /give --recipient age1…, or set secrets\.recipients/);
  t.true(existsSync(join(dir, "pw")));
});

test("convert prints a Compose file, and names what is lost on stderr", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "bt-convert-"));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, "web.container"), "[Container]\nImage=nginx\nPodmanArgs=-x\n");
  const { code, stdout, stderr } = await runBerth(["convert", join(dir, "web.container")]);
  t.is(code, 0);
  t.is(stdout, "services:\n  web:\n    image: nginx\n");
  t.is(
    stderr,
    "not carried over: web.container: PodmanArgs: -x: [Container] has no counterpart in Compose\n",
  );
  const directory = await runBerth(["convert", dir]);
  t.is(directory.code, 1);
  t.regex(directory.stderr, /is a directory: name the files in it/);
});
