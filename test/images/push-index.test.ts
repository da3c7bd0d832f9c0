import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { kernelTest } from "../kernel/kernel-test.ts";
import { registryTest, withDockerRegistry } from "./docker-registry.ts";
import { architecture, describe, digestOf, json, ociIndex, ociManifest } from "./image-builder.ts";
import { soon, withStore } from "./store-harness.ts";
import { withRegistry } from "./test-registry.ts";
import {
  attestation,
  attestedIndex,
  foreign,
  indexDigest,
  loadIndex,
  own,
} from "./two-platforms.ts";

const run = promisify(execFile);
const skopeo = (...args: string[]) => run("skopeo", ["--insecure-policy", ...args]);

registryTest(
  "an index that is here with all of its platforms is pushed whole, digests and all",
  (t) =>
    withStore(async (bench) => {
      const { root, store } = bench;
      await withDockerRegistry(root, async (host) => {
        await loadIndex(bench, [own, foreign]);
        const pushed = await store.push("example.com/many:1", `${host}/many:1`, { abort: soon() });
        t.deepEqual(pushed, { digest: indexDigest, missingPlatforms: [] });
        const layout = join(root, "layout");
        const from = `docker://${host}/many:1`;
        await skopeo("copy", "--all", "--src-tls-verify=false", from, `oci:${layout}:x`);
        const copied = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
        t.is(copied.manifests[0].digest, indexDigest);
        for (const { blobs, digest } of [own, foreign]) {
          for (const each of [digest, ...blobs.keys()]) {
            t.is(digestOf(readFileSync(join(layout, "blobs/sha256", each.slice(7)))), each);
          }
        }
        // Back again, and this host's part of it runs.
        const to = `docker://${host}/back:1`;
        await skopeo("copy", "--all", "--dest-tls-verify=false", `oci:${layout}:x`, to);
        t.is(await store.resolve(`${host}/back:1`, soon()), indexDigest);
        t.is((await store.pull(`${host}/back:1`, { abort: soon() })).digest, own.digest);
        // What is named by a digest is what is sent.
        const alone = `${host}/many@${own.digest}`;
        t.is((await store.push("example.com/many:1", alone, { abort: soon() })).digest, own.digest);
        const whole = `${host}/whole@${indexDigest}`;
        t.is(
          (await store.push("example.com/many:1", whole, { abort: soon() })).digest,
          indexDigest,
        );
      });
    }),
);

registryTest(
  "of an index that is here in part this host's image is pushed, and the rest named",
  (t) =>
    withStore(async (bench) => {
      const { root, store, content } = bench;
      await withDockerRegistry(root, async (host) => {
        await loadIndex(bench, [own]);
        t.is(content().blobs.length, 1 + own.blobs.size);
        const pushed = await store.push("example.com/many:1", `${host}/many:1`, { abort: soon() });
        t.deepEqual(pushed, { digest: own.digest, missingPlatforms: ["linux/mips"] });
        t.is(await store.resolve(`${host}/many:1`, soon()), own.digest);
        const whole = `${host}/many@${indexDigest}`;
        await t.throwsAsync(store.push("example.com/many:1", whole, { abort: soon() }), {
          message: /linux\/mips of the index sha256:\w+ is not here: copy it .* berth copy --all/,
        });
      });
    }),
);

kernelTest(
  "the other platforms stay as long as their image, through collections and openings",
  (t) =>
    withStore(async (bench) => {
      const { root, images, store, content, reopen } = bench;
      await loadIndex(bench, [own, foreign]);
      const all = new Set([indexDigest, own.digest, foreign.digest]);
      for (const { blobs } of [own, foreign]) for (const digest of blobs.keys()) all.add(digest);
      const names = [...all].map((digest) => digest.slice(7)).toSorted();
      t.deepEqual(content().blobs, names);
      t.is(content().layers.length, 2, "only this host's are unpacked");
      await store.collectGarbage(() => new Set([own.digest]));
      const again = await reopen();
      t.deepEqual(content().blobs, names);
      // The same image without its index takes nothing away.
      const path = join(root, "alone.tar");
      const chunks: Uint8Array[] = [];
      const options = { format: "oci-archive", abort: soon() } as const;
      for await (const chunk of again.save(["example.com/many:1"], options)) chunks.push(chunk);
      writeFileSync(path, Buffer.concat(chunks));
      await again.load(path, { abort: soon() });
      t.deepEqual(content().blobs, names);
      const blobBytes = names
        .map((name) => readFileSync(join(images, "blobs/sha256", name)).length)
        .reduce((sum, bytes) => sum + bytes, 0);
      const details = await again.describe(own.digest);
      // The content of the two unpacked files on top.
      t.is(details?.ownBytes, blobBytes + 2);
      await again.remove(own.digest, new Set());
      t.deepEqual(content(), { blobs: [], layers: [], incoming: [] });
    }),
);

registryTest("an index with one platform comes and goes whole", (t) =>
  withRegistry((from) =>
    withStore(async ({ root, store }) => {
      const only = json({
        schemaVersion: 2,
        mediaType: ociIndex,
        manifests: [
          { ...describe(ociManifest, own.manifest), platform: { os: "linux", architecture } },
        ],
      });
      from.add("app", "part", own);
      from.addManifest("app/1", { bytes: only, mediaType: ociIndex });
      from.addManifest(`app/${digestOf(only)}`, { bytes: only, mediaType: ociIndex });
      await store.pull(`${from.host}/app:1`, { abort: soon() });
      await withDockerRegistry(root, async (host) => {
        const pushed = await store.push(`${from.host}/app:1`, `${host}/app:1`, { abort: soon() });
        t.deepEqual(pushed, { digest: digestOf(only), missingPlatforms: [] });
        t.is(await store.resolve(`${host}/app:1`, soon()), digestOf(only));
      });
    }),
  ),
);

kernelTest("indexes that name each other over and over are looked through once", (t) =>
  withRegistry((from) =>
    withStore(async ({ store }) => {
      const entries = (bytes: Buffer, mediaType: string) =>
        Array.from({ length: 300 }, () => ({
          ...describe(mediaType, bytes),
          platform: { os: "linux", architecture },
        }));
      from.add("app", "part", own);
      let [bytes, mediaType] = [own.manifest, ociManifest];
      for (let depth = 0; depth < 3; depth += 1) {
        const manifests = entries(bytes, mediaType);
        [bytes, mediaType] = [json({ schemaVersion: 2, mediaType: ociIndex, manifests }), ociIndex];
        from.addManifest(`app/${digestOf(bytes)}`, { bytes, mediaType });
      }
      from.addManifest("app/1", { bytes, mediaType });
      // Three hundred to the third looks would take hours.
      const pulled = await store.pull(`${from.host}/app:1`, { abort: soon() });
      t.is(pulled.digest, own.digest);
    }),
  ),
);

registryTest("an index with attestations is loaded and pushed with them", (t) =>
  withStore(async (bench) => {
    const { root, store } = bench;
    await withDockerRegistry(root, async (host) => {
      await loadIndex(bench, [own, attestation], attestedIndex);
      const digest = digestOf(attestedIndex);
      const pushed = await store.push("example.com/many:1", `${host}/many:1`, { abort: soon() });
      t.deepEqual(pushed, { digest, missingPlatforms: [] });
      const layout = join(root, "layout");
      const from = `docker://${host}/many:1`;
      await skopeo("copy", "--all", "--src-tls-verify=false", from, `oci:${layout}:x`);
      for (const each of [attestation.digest, ...attestation.blobs.keys()]) {
        t.is(digestOf(readFileSync(join(layout, "blobs/sha256", each.slice(7)))), each);
      }
    });
  }),
);
