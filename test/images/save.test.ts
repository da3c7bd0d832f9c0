import { execFile } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import { kernelTest } from "../kernel/kernel-test.ts";
import { hasTool } from "../kernel/with-tool.ts";
import { buildImage, describe, fileLayer, json, ociIndex, ociManifest } from "./image-builder.ts";
import { type StoreBench, soon, withStore } from "./store-harness.ts";

const run = promisify(execFile);
const base = fileLayer("base", "b".repeat(5000));
const [web, db] = [
  buildImage([base, fileLayer("web", "1", "zstd")], { config: { Cmd: ["web"] } }),
  buildImage([base, fileLayer("db", "2", "none")]),
];

/** Two images under the names that are given. */
async function loadTwo({ root, store }: StoreBench): Promise<void> {
  const path = join(root, "source");
  await mkdir(join(path, "blobs", "sha256"), { recursive: true });
  await writeFile(join(path, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  const manifests = [web, db].map(({ manifest }, index) => ({
    ...describe(ociManifest, manifest),
    annotations: { "org.opencontainers.image.ref.name": `example.com/${index ? "db" : "web"}:1` },
  }));
  await writeFile(
    join(path, "index.json"),
    json({ schemaVersion: 2, mediaType: ociIndex, manifests }),
  );
  for (const built of [web, db]) {
    const blobs = [...built.blobs, [built.digest, built.manifest] as const];
    for (const [digest, bytes] of blobs) {
      await writeFile(join(path, "blobs", "sha256", digest.slice(7)), bytes);
    }
  }
  await store.load(path, { abort: soon() });
  store.tag("example.com/web:1", "shop:2");
}

async function archive(
  { root, store }: StoreBench,
  names: readonly string[],
  format: "oci-archive" | "docker-archive",
): Promise<string> {
  const path = join(root, `${format}.tar`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.save(names, { format, abort: soon() })) chunks.push(chunk);
  writeFileSync(path, Buffer.concat(chunks));
  return path;
}

/** What another, empty store makes of it: name -> digest. */
async function loadedElsewhere(path: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  await withStore(async ({ store }) => {
    for (const { digest, references } of await store.load(path, { abort: soon() })) {
      for (const name of references) found[name] = digest;
    }
  });
  return found;
}

const both = { "example.com/web:1": web.digest, "example.com/db:1": db.digest };

for (const format of ["oci-archive", "docker-archive"] as const) {
  kernelTest(`what is saved as ${format} is loaded with the same digests and names`, (t) =>
    withStore(async (bench) => {
      await loadTwo(bench);
      const path = await archive(
        bench,
        ["example.com/web:1", "example.com/db:1", "shop:2"],
        format,
      );
      t.deepEqual(await loadedElsewhere(path), {
        ...both,
        "docker.io/library/shop:2": web.digest,
      });
    }),
  );
}

kernelTest("a saved layout directory is complete, has the same digests, and is never half", (t) =>
  withStore(async (bench) => {
    await loadTwo(bench);
    const { root, store } = bench;
    const path = join(root, "out");
    await store.saveLayout(["example.com/web:1", "example.com/db:1"], { path, abort: soon() });
    t.deepEqual(await loadedElsewhere(path), both);
    const again = store.saveLayout(["example.com/web:1"], { path, abort: soon() });
    await t.throwsAsync(again, { message: /is there and not empty/ });
    const gone = new AbortController();
    gone.abort(new Error("enough"));
    const cut = store.saveLayout(["shop:2"], { path: join(root, "cut"), abort: gone.signal });
    await t.throwsAsync(cut, { message: "enough" });
    t.deepEqual(readdirSync(root).toSorted(), ["lib", "out", "run", "source", "state.db"]);
  }),
);

kernelTest("a damaged blob ends a save with an error that names it", (t) =>
  withStore(async (bench) => {
    await loadTwo(bench);
    const layer = web.layerDigests[1] ?? "";
    const path = join(bench.images, "blobs", "sha256", layer.slice(7));
    writeFileSync(path, readFileSync(path).fill(0));
    await t.throwsAsync(archive(bench, ["shop:2"], "oci-archive"), {
      message: new RegExp(`cannot save shop:2 because the stored blob ${layer} was damaged`),
    });
  }),
);

kernelTest("an image that is not here is named before the first byte", (t) =>
  withStore(async ({ store }) => {
    const stream = store.save(["nothing:1"], { format: "oci-archive", abort: soon() });
    await t.throwsAsync(
      async () => {
        for await (const _ of stream) t.fail();
      },
      { message: /^cannot save nothing:1 because there is no such image here/ },
    );
  }),
);

async function skopeoDigest(t: ExecutionContext, source: string): Promise<string> {
  const { stdout } = await run("skopeo", ["inspect", "--format", "{{.Digest}}", source]);
  t.regex(stdout, /^sha256:/);
  return stdout.trim();
}

kernelTest(
  "skopeo reads every form, copies it on, and what it writes is loaded again",
  async (t) => {
    if (!hasTool(t, "skopeo")) return;
    await withStore(async (bench) => {
      await loadTwo(bench);
      const { root, store } = bench;
      const oci = await archive(bench, ["example.com/web:1", "example.com/db:1"], "oci-archive");
      t.is(await skopeoDigest(t, `oci-archive:${oci}:example.com/web:1`), web.digest);
      t.is(await skopeoDigest(t, `oci-archive:${oci}:example.com/db:1`), db.digest);
      const directory = join(root, "dir");
      await store.saveLayout(["example.com/web:1"], { path: directory, abort: soon() });
      t.is(await skopeoDigest(t, `oci:${directory}:example.com/web:1`), web.digest);
      const docker = await archive(
        bench,
        ["example.com/web:1", "example.com/db:1"],
        "docker-archive",
      );
      const back = join(root, "back.tar");
      await run("skopeo", [
        ...["copy", "--insecure-policy", `docker-archive:${docker}:example.com/web:1`],
        `docker-archive:${back}:example.com/web:copy`,
      ]);
      const [loaded] = await store.load(back, { abort: soon() });
      t.deepEqual(loaded?.references, ["example.com/web:copy"]);
      t.deepEqual(loaded?.config.command, ["web"]);
      t.is(readFileSync(join(loaded?.layerDirs[1] ?? "", "web"), "utf8"), "1");
    });
  },
);
