import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { link } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { Volumes } from "../../runtime/containers/volumes.ts";
import { helperPath } from "../../runtime/helper/helper-path.ts";
import { Launcher } from "../../runtime/helper/launcher.ts";
import { Program } from "../../runtime/program/program.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { execProbe, probeSpec, withRuntime } from "../kernel/runtime-harness.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

async function withDirectory(work: (root: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "bt-seed-"));
  try {
    await work(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function withVolume(work: (volumes: Volumes, directory: string) => Promise<void>): Promise<void> {
  return withDirectory(async (root) => {
    const volumes = new Volumes({
      libDir: root,
      state: new DatabaseSync(":memory:"),
      now: () => 0,
      removeTree: async (path) => rmSync(path, { recursive: true, force: true }),
    });
    volumes.ensure({ name: "v", labels: {} });
    await work(volumes, join(root, "volumes", "v"));
  });
}

const idle = () => false;

kernelTest("a volume is filled where nothing is mounted, and shows all of it or nothing", (t) =>
  withVolume(async (volumes, directory) => {
    await volumes.seed("v", {
      isInUse: idle,
      fill: async (seed) => {
        t.not(seed, volumes.path("v"));
        writeFileSync(join(seed, "file"), "x");
        t.true(volumes.isEmpty("v"));
      },
    });
    t.is(readFileSync(join(volumes.path("v"), "file"), "utf8"), "x");
    t.deepEqual(readdirSync(directory), ["_data"]);
  }),
);

kernelTest("a volume that is mounted while it is filled stays the directory that it was", (t) =>
  withVolume(async (volumes, directory) => {
    const before = statSync(volumes.path("v")).ino;
    let isInUse = false;
    await volumes.seed("v", {
      isInUse: () => isInUse,
      fill: async (seed) => {
        writeFileSync(join(seed, "file"), "x");
        isInUse = true;
      },
    });
    t.is(statSync(volumes.path("v")).ino, before);
    t.true(volumes.isEmpty("v"));
    t.deepEqual(readdirSync(directory), ["_data"]);
  }),
);

kernelTest("a filling that fails leaves the volume empty, and the next one may fill it", (t) =>
  withVolume(async (volumes, directory) => {
    const failing = volumes.seed("v", {
      isInUse: idle,
      fill: async (seed) => {
        writeFileSync(join(seed, "half"), "x");
        throw new Error("no space");
      },
    });
    const next = volumes.seed("v", {
      isInUse: idle,
      fill: async (seed) => writeFileSync(join(seed, "whole"), "x"),
    });
    await t.throwsAsync(failing, { message: "no space" });
    await next;
    t.deepEqual(readdirSync(volumes.path("v")), ["whole"]);
    t.deepEqual(readdirSync(directory), ["_data"]);
  }),
);

kernelTest("what a crash left of a filling is gone at the next start", (t) =>
  withRuntime(async ({ runtime, root, reopen }) => {
    await runtime.ensureVolume({ name: "v", labels: {} });
    const left = join(root, "lib/volumes/v/_seed-0123456789abcdef");
    mkdirSync(join(left, "half"), { recursive: true });
    await reopen();
    t.false(existsSync(left));
    t.true(existsSync(join(root, "lib/volumes/v/_data")));
  }),
);

kernelTest("a volume that a running container mounts is not filled under it", (t) =>
  withRuntime(async ({ runtime, root }) => {
    await runtime.ensureVolume({ name: "v", labels: {} });
    const at = (target: string) => ({
      mounts: [{ type: "volume", volume: "v", target, readOnly: false, copy: true } as const],
    });
    const attacker = probeSpec(runtime, ["sleep", "60000"], at("/nothing-in-the-image"));
    await runtime.createContainer(attacker);
    await runtime.startContainer(attacker.id);
    // The image has files there.
    const victim = probeSpec(runtime, ["sleep", "60000"], at("/bin"));
    await runtime.createContainer(victim);
    t.deepEqual(readdirSync(join(root, "lib/volumes/v/_data")), []);
    await execProbe(runtime, attacker.id, ["/bin/probe", "touch", "/nothing-in-the-image/own"]);
    t.deepEqual(readdirSync(join(root, "lib/volumes/v/_data")), ["own"]);
  }),
);

/** Copies below `root` from `source` to `destination`, which is made. */
async function copy(root: string, limitMs = 0): Promise<void> {
  const launcher = new Launcher({ helperPath, log: silent });
  try {
    mkdirSync(join(root, "destination"));
    const program = new Program();
    const [source, destination] = [program.slot(), program.slot()];
    program
      .open(source, null, 0o200_000, join(root, "source"))
      .open(destination, null, 0o200_000, join(root, "destination"))
      .copyTree(source, destination, limitMs);
    await launcher.run(program.finish());
  } finally {
    await launcher.close();
  }
}

async function linkOften(directory: string, count: number): Promise<void> {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "name"), "of the image");
  for (let i = 0; i < count; i += 1) await link(join(directory, "name"), join(directory, `n${i}`));
}

kernelTest("names of one file stay names of one file, links to links included", (t) =>
  withDirectory(async (root) => {
    await linkOften(join(root, "source/a"), 3000);
    symlinkSync("/etc/passwd", join(root, "source/link"));
    mkdirSync(join(root, "source/b"));
    await link(join(root, "source/link"), join(root, "source/b/link"));
    await copy(root);
    const copied = statSync(join(root, "destination/a/name"));
    t.is(copied.nlink, 3001);
    t.not(copied.ino, statSync(join(root, "source/a/name")).ino);
    const [one, other] = ["link", "b/link"].map((name) =>
      lstatSync(join(root, "destination", name)),
    );
    t.true(one?.isSymbolicLink());
    t.is(one?.ino, other?.ino);
    t.is(one?.nlink, 2);
  }),
);

kernelTest("whoever swaps a directory of the copy for a link gets no link to a file outside", (t) =>
  withDirectory(async (root) => {
    await linkOften(join(root, "source/a"), 60);
    // Between one link and the next there is time for the swap, which takes two steps.
    for (let i = 0; i < 60; i += 1)
      writeFileSync(join(root, `source/a/big${i}`), Buffer.alloc(2_000_000, 1));
    const outside = join(root, "outside");
    // Every name is there: whichever was copied first would be found.
    await linkOften(outside, 60);
    const secrets = statSync(join(outside, "name"));
    const attacker = await startAttacker(join(root, "destination"), outside);
    await copy(root).catch(() => {});
    await attacker.terminate();
    t.true(lstatSync(join(root, "destination/a")).isSymbolicLink());
    t.is(statSync(join(outside, "name")).nlink, secrets.nlink);
  }),
);

/** Resolves once it looks for the copy of `a`: it puts a link to `outside` in its place. */
async function startAttacker(destination: string, outside: string): Promise<Worker> {
  const program = `
    const { renameSync, symlinkSync } = require("node:fs");
    const { parentPort, workerData: [destination, outside] } = require("node:worker_threads");
    parentPort.postMessage("ready");
    for (;;) {
      try {
        renameSync(destination + "/a", destination + "/moved");
        symlinkSync(outside, destination + "/a");
        break;
      } catch {}
    }`;
  const worker = new Worker(program, { eval: true, workerData: [destination, outside] });
  await once(worker, "message");
  return worker;
}

kernelTest("a copy that takes longer than it may is given up", (t) =>
  withDirectory(async (root) => {
    await linkOften(join(root, "source/a"), 20_000);
    await t.throwsAsync(copy(root, 1), { message: /timed out|ETIMEDOUT/i });
  }),
);
