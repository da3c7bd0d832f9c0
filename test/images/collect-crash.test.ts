import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import { kernelTest } from "../kernel/kernel-test.ts";
import { buildImage, fileLayer } from "./image-builder.ts";
import { type StoreBench, soon, withStore } from "./store-harness.ts";
import { withRegistry } from "./test-registry.ts";

const child = fileURLToPath(new URL("collect-crash-child.ts", import.meta.url));
const base = fileLayer("base", "shared");
const kept = buildImage([base, fileLayer("own", "kept")]);
const removed = buildImage([base, fileLayer("own", "removed"), fileLayer("more", "removed too")]);

/** Two images, and how the store must look whatever happened to the second. */
async function withImages(
  root: string,
  work: (bench: StoreBench, check: (t: ExecutionContext, step: string) => Promise<void>) => unknown,
): Promise<void> {
  await withRegistry((registry) =>
    withStore(async (bench) => {
      registry.add("app", "kept", kept);
      registry.add("app", "removed", removed);
      const names = ["kept", "removed"].map((tag) => `${registry.host}/app:${tag}`);
      const pullAll = async (store = bench.store) => {
        for (const name of names) await store.pull(name, { abort: soon() });
      };
      await pullAll();
      await work(bench, async (t, step) => {
        const store = await bench.reopen();
        const there = store.find(removed.digest) !== undefined;
        t.deepEqual(
          {
            blobs: bench.content().blobs.length,
            layers: bench.content().layers.length,
            incoming: bench.content().incoming,
          },
          { blobs: there ? 8 : 4, layers: there ? 4 : 2, incoming: [] },
          step,
        );
        const whole = store.find(kept.digest);
        t.is(readFileSync(join(whole?.layerDirs[1] ?? "", "own"), "utf8"), "kept", step);
        await pullAll(store);
        const again = store.find(removed.digest);
        t.is(readFileSync(join(again?.layerDirs[2] ?? "", "more"), "utf8"), "removed too", step);
      });
    }, root),
  );
}

async function inDirectory(work: (root: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "bt-images-collect-"));
  try {
    await work(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

kernelTest(
  "a collection that is cut at any step leaves a store that works and hides nothing",
  (t) =>
    inDirectory((root) =>
      withImages(root, async (bench, check) => {
        let steps: string[] = [];
        for (let cutAt = 0; cutAt < 100 && steps.at(-1) !== "done"; cutAt += 1) {
          let isArmed = false;
          const store = await bench.reopen((step) => {
            if (!isArmed) return;
            if (steps.length === cutAt) throw new Error(`cut before ${step}`);
            steps.push(step);
          });
          isArmed = true;
          steps = [];
          await store.collectGarbage(() => new Set([kept.digest])).catch(() => {});
          await check(t, `after ${steps.at(-1)}`);
        }
        t.is(steps.at(-1), "done");
        t.true(steps.length >= 12);
      }),
    ),
);

kernelTest("a collection whose process is killed leaves a store that works", (t) =>
  inDirectory((root) =>
    withImages(root, async (_, check) => {
      for (const step of ["forget layer", "move blob", "remove what was moved"]) {
        const collector = spawn(process.execPath, [child, root, kept.digest, step], {
          stdio: ["ignore", "ignore", "inherit"],
        });
        const [, signal] = await once(collector, "exit");
        t.is(signal, "SIGKILL");
        await check(t, `killed at ${step}`);
      }
    }),
  ),
);
