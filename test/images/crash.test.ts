import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { kernelTest } from "../kernel/kernel-test.ts";
import { buildImage, fileLayer } from "./image-builder.ts";
import { soon, withStore } from "./store-harness.ts";
import { withRegistry } from "./test-registry.ts";

const child = fileURLToPath(new URL("crash-child.ts", import.meta.url));
const image = buildImage([
  fileLayer("a", Buffer.alloc(4_000_000, "a"), "none"),
  fileLayer("b", Buffer.alloc(4_000_000, "b"), "none"),
  fileLayer("c", Buffer.alloc(4_000_000, "c"), "none"),
]);

async function killedPull(root: string, reference: string, afterMs: number): Promise<void> {
  const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];
  const puller = spawn(process.execPath, [child, root, reference], { stdio });
  const ended = once(puller, "exit");
  await Promise.race([once(puller.stdout, "data"), ended]);
  await Promise.race([sleep(afterMs), ended]);
  puller.kill("SIGKILL");
  await ended;
}

kernelTest("a pull that is killed at any moment leaves a store that works and hides nothing", (t) =>
  withRegistry(async (registry) => {
    registry.add("app", "1", image);
    const reference = `${registry.host}/app:1`;
    for (const afterMs of [0, 5, 10, 20, 30, 40, 60, 80, 120, 200, 10_000]) {
      const root = mkdtempSync(join(tmpdir(), "bt-images-crash-"));
      try {
        await killedPull(root, reference, afterMs);
        await withStore(async ({ store, content }) => {
          const found = store.find(reference);
          t.deepEqual(content().layers.length, found === undefined ? 0 : 3, `after ${afterMs} ms`);
          t.deepEqual(content().blobs.length, found === undefined ? 0 : 5, `after ${afterMs} ms`);
          if (afterMs === 10_000) t.is(found?.digest, image.digest);
          const pulled = await store.pull(reference, { abort: soon() });
          t.is(readFileSync(join(pulled.layerDirs[2] ?? "", "c")).length, 4_000_000);
        }, root);
      } finally {
        rmSync(root, { recursive: true, force: true });
      }
    }
  }),
);
