/**
 * Cuts the power before every change of a collection of images in turn, on a small ext4 below the directory at its argument, and
 * looks at what the next opening of the store finds. In a mount namespace of its own. Prints JSON: a line for each cut.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { kept, removed, tags } from "./power-cut-images.ts";
import { soon, withStore } from "./store-harness.ts";
import { type TestRegistry, withRegistry } from "./test-registry.ts";

const place = process.argv[2];
if (place === undefined) throw new Error("a directory is expected");
const child = fileURLToPath(new URL("power-cut-child.ts", import.meta.url));
const image = join(place, "disk.img");
const mountpoint = join(place, "disk");
const root = join(mountpoint, "store");

mkdirSync(mountpoint);
writeFileSync(image, "");
truncateSync(image, 64 << 20);
execFileSync("mkfs.ext4", ["-q", "-F", image]);

await withRegistry(async (registry) => {
  registry.add("app", "kept", kept);
  registry.add("app", "removed", removed);
  for (let change = 1; ; change += 1) {
    mount();
    mkdirSync(root, { recursive: true });
    const step = await collectAndCut(registry, change);
    if (step === "") break;
    await unmount();
    mount();
    const found = { step, isUnsyncedThere: existsSync(join(mountpoint, "not-synced")) };
    process.stdout.write(`${JSON.stringify({ ...found, ...(await lookAfter(registry)) })}\n`);
    await unmount();
  }
  await unmount();
});

/** The change before which the power was cut; empty when there was none of that number. */
function collectAndCut(registry: TestRegistry, change: number): Promise<string> {
  const words = [child, mountpoint, registry.host, `${change}`];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, words, (error, stdout, stderr) => {
      if (error === null || error.signal === "SIGKILL") resolve(stdout);
      else reject(new Error(stderr, { cause: error }));
    });
  });
}

/** What the next agent finds, and whether it can have again what is gone. The store is removed after that. */
async function lookAfter(registry: TestRegistry): Promise<object> {
  let seen = {};
  await withStore(async ({ store, content }) => {
    const { blobs, layers, incoming } = content();
    const isThere = store.find(removed.digest) !== undefined;
    const whole = store.find(kept.digest);
    const own = readFileSync(join(whole?.layerDirs[1] ?? "", "own"), "utf8");
    for (const tag of tags) await store.pull(`${registry.host}/app:${tag}`, { abort: soon() });
    const again = store.find(removed.digest);
    const more = readFileSync(join(again?.layerDirs[2] ?? "", "more"), "utf8");
    seen = { isThere, blobs: blobs.length, layers: layers.length, incoming, own, more };
  }, root);
  return seen;
}

function mount(): void {
  execFileSync("mount", ["-o", "loop", image, mountpoint]);
}

/** Processes of a killed store may have it open for a moment. */
async function unmount(): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      execFileSync("umount", [mountpoint], { stdio: "pipe" });
      return;
    } catch (error) {
      if (attempt === 200) throw error;
      await sleep(50);
    }
  }
}
