import { existsSync, lstatSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PullProgress } from "../../runtime/images/image-store.ts";
import { LAYER_ID_BASE } from "../../runtime/images/layer-ids.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import {
  architecture,
  buildImage,
  describe,
  fileLayer,
  json,
  ociIndex,
  ociManifest,
} from "./image-builder.ts";
import { soon, withStore } from "./store-harness.ts";
import { withRegistry } from "./test-registry.ts";

kernelTest("an image of gzip, zstd and plain layers is unpacked with shifted owners", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store, images }) => {
      const image = buildImage(
        [
          fileLayer("one", "1", "gzip"),
          fileLayer("two", "2", "zstd"),
          fileLayer("three", "3", "none"),
        ],
        { config: { Env: ["A=b"], Cmd: ["/run"], User: "7", Labels: { x: "y" }, Volumes: null } },
      );
      registry.add("team/app", "1", image);
      const pulled = await store.pull(`${registry.host}/team/app:1`, { abort: soon() });
      t.is(pulled.digest, image.digest);
      t.deepEqual(pulled.references, [`${registry.host}/team/app:1`]);
      t.deepEqual(pulled.config.command, ["/run"]);
      t.deepEqual(pulled.config.labels, { x: "y" });
      t.is(pulled.config.user, "7");
      t.deepEqual(pulled.layerDigests, [...image.layerDigests]);
      const texts = ["one", "two", "three"].map((name, index) =>
        readFileSync(join(pulled.layerDirs[index] ?? "", name), "utf8"),
      );
      t.deepEqual(texts, ["1", "2", "3"]);
      t.is(lstatSync(join(pulled.layerDirs[0] ?? "", "one")).uid, LAYER_ID_BASE);
      t.is(lstatSync(images).mode & 0o777, 0o700);
      t.is(lstatSync(join(images, "layers")).mode & 0o777, 0o700);
      t.deepEqual(store.find(`${registry.host}/team/app:1`), pulled);
      t.deepEqual(store.find(image.digest), pulled);
    }),
  ),
);

kernelTest("directories that a layer only implies look like those of the layer below", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store }) => {
      const image = buildImage([
        { entries: [{ type: "directory", path: "srv/", mode: 0o2750 }] },
        fileLayer("srv/new/file", "x"),
      ]);
      registry.add("app", "1", image);
      const { layerDirs } = await store.pull(`${registry.host}/app:1`, { abort: soon() });
      const upper = lstatSync(join(layerDirs[1] ?? "", "srv"));
      t.is(upper.mode & 0o7777, 0o2750);
      t.is(upper.mtimeMs, 0);
    }),
  ),
);

kernelTest("the platform's image is chosen from an index and found by the index's digest", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store }) => {
      const image = buildImage([fileLayer("a", "1")]);
      const foreign = buildImage([fileLayer("a", "2")], { architecture: "mips" });
      const index = json({
        schemaVersion: 2,
        mediaType: ociIndex,
        manifests: [
          {
            ...describe(ociManifest, foreign.manifest),
            platform: { os: "linux", architecture: "mips" },
          },
          { ...describe(ociManifest, image.manifest), platform: { os: "linux", architecture } },
        ],
      });
      registry.add("app", "unused", image);
      registry.addManifest("app/1", { bytes: index, mediaType: ociIndex });
      const indexDigest = describe(ociIndex, index).digest;
      registry.addManifest(`app/${indexDigest}`, { bytes: index, mediaType: ociIndex });
      t.is(await store.resolve(`${registry.host}/app:1`, soon()), indexDigest);
      const pulled = await store.pull(`${registry.host}/app:1`, { abort: soon() });
      t.is(pulled.digest, image.digest);
      t.is(store.find(`${registry.host}/app@${indexDigest}`)?.digest, image.digest);
      const before = registry.requests.length;
      await store.pull(`${registry.host}/app@${indexDigest}`, { abort: soon() });
      t.is(registry.requests.length, before);
    }),
  ),
);

kernelTest("a second pull asks for the digest alone, and a moved tag moves the name", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store }) => {
      const name = `${registry.host}/app:1`;
      const first = buildImage([fileLayer("base", "same"), fileLayer("a", "1")]);
      const second = buildImage([fileLayer("base", "same"), fileLayer("a", "2")]);
      registry.add("app", "1", first);
      await store.pull(name, { abort: soon() });
      registry.requests.length = 0;
      await store.pull(name, { abort: soon() });
      t.deepEqual(registry.requests, ["HEAD /v2/app/manifests/1", "GET /v2/app/manifests/1"]);
      registry.add("app", "1", second);
      registry.requests.length = 0;
      t.is((await store.pull(name, { abort: soon() })).digest, second.digest);
      t.false(registry.requests.some((line) => line.endsWith(first.layerDigests[0] ?? "")));
      t.deepEqual(store.find(first.digest)?.references, []);
      t.is(store.list().length, 2);
    }),
  ),
);

kernelTest("what comes is counted: bytes of the network, layers that were here, unpacking", (t) =>
  withRegistry((registry) => {
    const base = fileLayer("base", "b".repeat(5000), "none");
    const [first, second] = ["1", "2"].map((text) => buildImage([base, fileLayer("a", text)]));
    let bytes = 0;
    const layers: string[] = [];
    let unpacked = 0;
    const meters = {
      received: (count: number) => {
        bytes += count;
      },
      layer: (result: string) => layers.push(result),
      unpacked: () => {
        unpacked += 1;
      },
    };
    return withStore(
      async ({ store }) => {
        if (first === undefined || second === undefined) throw new Error("two images were built");
        registry.add("app", "1", first);
        registry.add("app", "2", second);
        const totals: number[] = [];
        await store.pull(`${registry.host}/app:1`, {
          abort: soon(),
          onProgress: ({ layer, bytesDone, bytesTotal }) => {
            if (layer !== undefined && bytesDone === 0) totals.push(bytesTotal);
          },
        });
        const sizes = (built: typeof first) =>
          built.layerDigests.map((digest) => built.blobs.get(digest)?.length ?? 0);
        const [baseBytes = 0, topBytes = 0] = sizes(first);
        // All layers are announced before the first byte of any.
        t.deepEqual(totals.slice(0, 2), [baseBytes, topBytes]);
        const configBytes = first.config.length;
        t.is(bytes, baseBytes + topBytes + configBytes);
        t.deepEqual(layers, ["unpacked", "unpacked"]);
        bytes = 0;
        await store.pull(`${registry.host}/app:2`, { abort: soon() });
        t.is(bytes, (sizes(second)[1] ?? 0) + second.config.length);
        t.deepEqual(layers.slice(2).toSorted(), ["hit", "unpacked"]);
        t.is(unpacked, 3);
      },
      undefined,
      undefined,
      undefined,
      meters,
    );
  }),
);

kernelTest("two pulls of the same reference share one download, and one may give up", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store }) => {
      const image = buildImage([fileLayer("a", "1")]);
      registry.add("app", "1", image);
      const giveUp = new AbortController();
      const seen: PullProgress[] = [];
      const pulls = [
        store.pull(`${registry.host}/app:1`, { abort: giveUp.signal }),
        store.pull(`${registry.host}/app:1`, {
          abort: soon(),
          onProgress: (progress) => seen.push(progress),
        }),
      ];
      giveUp.abort(new Error("changed my mind"));
      const [first, second] = await Promise.allSettled(pulls);
      t.is(first?.status, "rejected");
      t.is(second?.status, "fulfilled");
      const layer = image.layerDigests[0] ?? "";
      t.is(registry.requests.filter((line) => line.includes(layer)).length, 1);
      t.is(seen.at(-1)?.phase, "done");
      t.true(seen.some((progress) => progress.layer === layer && progress.bytesDone > 0));
    }),
  ),
);

kernelTest("shared layers are stored once and go with the last image that needs them", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store, content }) => {
      const base = fileLayer("base", "b".repeat(5000));
      const images = ["1", "2"].map((text) => buildImage([base, fileLayer("a", text)]));
      for (const [index, image] of images.entries()) registry.add("app", `${index}`, image);
      const [first] = await Promise.all(
        images.map((_, index) => store.pull(`${registry.host}/app:${index}`, { abort: soon() })),
      );
      t.is(content().layers.length, 3);
      await t.throwsAsync(store.remove(`${registry.host}/app:0`, new Set([first?.digest ?? ""])), {
        message: /containers use it/,
      });
      store.tag(`${registry.host}/app:0`, "kept:1");
      await store.remove(`${registry.host}/app:0`, new Set([first?.digest ?? ""]));
      t.deepEqual(store.find(first?.digest ?? "")?.references, ["docker.io/library/kept:1"]);
      await store.remove("kept:1", new Set());
      t.is(content().layers.length, 2);
      const freed = await store.collectGarbage(() => new Set());
      t.deepEqual(
        freed.images.map(({ references }) => references),
        [[`${registry.host}/app:1`]],
      );
      t.true(freed.bytes > 5000);
      t.deepEqual(content(), { blobs: [], layers: [], incoming: [] });
      t.deepEqual(store.list(), []);
    }),
  ),
);

kernelTest("what a crash left is removed at the next start and whole images stay", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store, reopen, images, state, content }) => {
      const image = buildImage([fileLayer("a", "1"), fileLayer("b", "2")]);
      const cut = buildImage([fileLayer("c", "3")]);
      registry.add("app", "1", image);
      registry.add("app", "2", cut);
      await store.pull(`${registry.host}/app:1`, { abort: soon() });
      const before = content();
      await store.pull(`${registry.host}/app:2`, { abort: soon() });
      state.exec(`DELETE FROM runtime_image_reference WHERE digest = '${cut.digest}'`);
      state.exec(`DELETE FROM runtime_image WHERE digest = '${cut.digest}'`);
      await leaveRubbish(images);
      const again = await reopen();
      t.deepEqual(content(), before);
      t.is(again.find(`${registry.host}/app:1`)?.digest, image.digest);
      t.true(existsSync(join(again.list()[0]?.layerDirs[1] ?? "", "b")));
      t.is((await again.pull(`${registry.host}/app:2`, { abort: soon() })).digest, cut.digest);
    }),
  ),
);

kernelTest("an image whose layer was removed by hand is forgotten and can be pulled again", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store, reopen }) => {
      registry.add("app", "1", buildImage([fileLayer("a", "1")]));
      const name = `${registry.host}/app:1`;
      const pulled = await store.pull(name, { abort: soon() });
      await rm(pulled.layerDirs[0] ?? "", { recursive: true });
      const again = await reopen();
      t.is(again.find(name), undefined);
      const repaired = await again.pull(name, { abort: soon() });
      t.is(readFileSync(join(repaired.layerDirs[0] ?? "", "a"), "utf8"), "1");
    }),
  ),
);

async function leaveRubbish(images: string): Promise<void> {
  await mkdir(join(images, "incoming", "layer-x", "deep"), { recursive: true });
  await writeFile(join(images, "incoming", "layer-x", "deep", "file"), "half");
  await writeFile(join(images, "incoming", "blob-x"), "half");
  await mkdir(join(images, "layers", "ab".repeat(32)));
  await writeFile(join(images, "blobs", "sha256", "cd".repeat(32)), "orphan");
}
