import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test from "ava";
import { buildTar } from "../builders/tar.ts";
import { outcome } from "../cli/run-berth.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();
const name = "shop-web-1";
const dir = mkdtempSync(join(tmpdir(), "bt-cp-"));
const at = (...parts: readonly string[]) => join(dir, ...parts);
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

const cat = (path: string) => agent.ok("exec", name, "/bin/probe", "cat", path);
const ls = async (path: string) =>
  (await agent.ok("exec", name, "/bin/probe", "ls", path)).trim().split("\n").toSorted().join(" ");

serialKernelTest("files and directories go into a container where docker-cp(1) says", async (t) => {
  await agent.commit({
    "shop/compose.yaml": `services: { web: { image: ${image}, restart: always, stop_grace_period: 1s } }\n`,
  });
  await agent.ok("sync");
  mkdirSync(at("tree", "deep"), { recursive: true });
  writeFileSync(at("tree", "one"), "1");
  writeFileSync(at("tree", "deep", "two"), "2");
  symlinkSync("deep/two", at("tree", "link"));
  await agent.ok("cp", at("tree"), "shop/web:/new");
  t.is(await ls("/new"), "deep link one");
  await agent.ok("cp", at("tree"), `${name}:/new`);
  t.is(await ls("/new"), "deep link one tree");
  await agent.ok("cp", `${at("tree")}/.`, `${name}:/data/`);
  t.is(await ls("/data"), "deep link one");
  t.is(await cat("/data/link"), "2");
  await agent.ok("cp", at("tree", "one"), `${name}:/data/deep`);
  await agent.ok("cp", at("tree", "one"), `${name}:/data/deep/two`);
  t.is(await ls("/data/deep"), "one two");
  t.is(await cat("/data/deep/two"), "1");
  await agent.ok("cp", "-L", at("tree", "link"), `${name}:/data/followed`);
  t.is(await cat("/data/followed"), "2");
  t.regex(await agent.ok("events"), /copy into shop-web-1 by hand$/m);
  t.notRegex(await agent.ok("events"), /copy into shop-web-1 by hand failed/);
});

serialKernelTest("files and directories come out where docker-cp(1) says", async (t) => {
  mkdirSync(at("out"));
  await agent.ok("cp", `${name}:/new`, at("out"));
  t.deepEqual(readdirSync(at("out", "new")).toSorted(), ["deep", "link", "one", "tree"]);
  t.is(readlinkSync(at("out", "new", "link")), "deep/two");
  await agent.ok("cp", `${name}:/new/.`, at("out"));
  t.deepEqual(readdirSync(at("out")).toSorted(), ["deep", "link", "new", "one", "tree"]);
  await agent.ok("cp", `${name}:/new/deep/two`, at("file"));
  t.is(readFileSync(at("file"), "utf8"), "2");
  await agent.ok("cp", `${name}:/new/one`, at("file"));
  t.is(readFileSync(at("file"), "utf8"), "1");
  await agent.ok("cp", "-L", `${name}:/new/link`, at("followed"));
  t.is(readFileSync(at("followed"), "utf8"), "2");
});

serialKernelTest("what cannot be copied is refused with the reason", async (t) => {
  const refused: readonly (readonly [string, string, RegExp])[] = [
    [at("tree"), `${name}:/new/one`, /\/new\/one because a directory cannot be copied onto a file/],
    [at("tree", "one"), `${name}:/none/`, /\/none\/ because the directory has to exist/],
    [at("tree", "one"), `${name}:/none/x`, /the directory that it is in has to exist/],
    [at("nothing"), `${name}:/new`, /nothing because it cannot be found/],
    [`${name}:/nothing`, at("x"), /\/nothing because it cannot be found/],
    [`${name}:/new`, at("file"), /a directory cannot be copied onto a file/],
    [`${name}:/new/one`, at("none", "x"), /the directory that it is in has to exist/],
    [at("tree", "one"), `${name}:/proc/version`, /version because no file can be made beside it/],
    [`${name}:/proc/version`, at("x"), /copy \/proc\/version because the kernel makes it up/],
    ["nobody:/x", at("x"), /cannot find a container nobody/],
  ];
  for (const [source, destination, reason] of refused) {
    const { code, stderr } = await agent.berth("cp", source, destination);
    t.is(code, 1, `${source} ${destination}`);
    t.regex(stderr, reason);
    t.is(stderr.trim().split("\n").length, 1, stderr);
  }
  t.regex(
    await agent.ok("events"),
    /copy into shop-web-1 by hand failed: part of it may be there$/m,
  );
  t.is((await agent.berth("cp", `${name}:/new`, `${name}:/other`)).code, 2);
  t.is((await agent.berth("cp", at("tree"), at("other"))).code, 2);
  t.false(existsSync(at("x")));
});

serialKernelTest("- is a tar archive, uncompressed, in both directions", async (t) => {
  const into = agent.begin("cp", "-", `${name}:/tmp`);
  into.stdin.end(buildTar([{ type: "file", path: "a/b", content: Buffer.from("piped") }]));
  t.like(await outcome(into), { code: 0, stderr: "" });
  t.is(await cat("/tmp/a/b"), "piped");
  const from = agent.begin("cp", `${name}:/tmp/a`, "-");
  const list = spawn("tar", ["-tf", "-"], { stdio: [from.stdout, "pipe", "inherit"] });
  const listed = await new Response(list.stdout as never).text();
  t.is(listed, "a/\na/b\n");
  const zipped = agent.begin("cp", "-", `${name}:/tmp`);
  zipped.stdin.on("error", () => undefined);
  zipped.stdin.end(gzipSync(buildTar([])));
  t.regex((await outcome(zipped)).stderr, /compressed with gzip: .*gunzip -c FILE/);
});

serialKernelTest("set-id bits, devices and owners of a container stay in it", async (t) => {
  writeFileSync(at("tool"), "x");
  chmodSync(at("tool"), 0o6755);
  await agent.ok("cp", at("tool"), `${name}:/tool`);
  t.regex(await agent.ok("exec", name, "/bin/probe", "stat", "/tool"), /uid=0 gid=0 mode=6755/);
  const { stderr } = await agent.berth("cp", `${name}:/tool`, at("tool-out"));
  t.is(stderr, "");
  t.is(statSync(at("tool-out")).mode & 0o7777, 0o755);
  const devices = await agent.berth("cp", `${name}:/dev`, at("dev"));
  t.is(devices.code, 0, devices.stderr);
  t.regex(devices.stderr, /^berth: null is left out: a device of a container is not made/m);
  t.false(existsSync(at("dev", "null")));
});

serialKernelTest("a large file keeps its content both ways", async (t) => {
  const content = Buffer.alloc(40_000_000, "berth copies this. ");
  writeFileSync(at("large"), content);
  await agent.ok("cp", at("large"), `${name}:/tmp/large`);
  await agent.ok("cp", `${name}:/tmp/large`, at("large-out"));
  t.true(readFileSync(at("large-out")).equals(content));
  const limited = await agent.berth("cp", "--limit", "1m", `${name}:/tmp/large`, at("limited"));
  t.regex(limited.stderr, /more than the limit of 1048576 bytes/);
  t.false(existsSync(at("limited")));
});

serialKernelTest("a stopped container gives and takes files, and starts with them", async (t) => {
  await agent.ok("stop", name);
  await agent.ok("cp", at("tree"), `${name}:/while-stopped`);
  await agent.ok("cp", `${name}:/while-stopped/deep/two`, at("from-stopped"));
  t.is(readFileSync(at("from-stopped"), "utf8"), "2");
  await agent.ok("start", name);
  t.is(await cat("/while-stopped/one"), "1");
});
