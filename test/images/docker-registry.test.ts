import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pushByHand, registryTest, withDockerRegistry } from "./docker-registry.ts";
import { buildImage, fileLayer, json } from "./image-builder.ts";
import { soon, withStore } from "./store-harness.ts";

registryTest("images are pulled from Debian's registry by tag and by digest", (t) =>
  withStore(async ({ root, store, content }) => {
    const image = buildImage([
      fileLayer("one", "1", "gzip"),
      fileLayer("two", Buffer.alloc(3_000_000, "2"), "zstd"),
    ]);
    await withDockerRegistry(root, async (host) => {
      await pushByHand(host, { repository: "team/app", tag: "1" }, image);
      t.is(await store.resolve(`${host}/team/app:1`, soon()), image.digest);
      const pulled = await store.pull(`${host}/team/app:1`, { abort: soon() });
      t.is(pulled.digest, image.digest);
      t.is(readFileSync(join(pulled.layerDirs[0] ?? "", "one"), "utf8"), "1");
      t.is(readFileSync(join(pulled.layerDirs[1] ?? "", "two")).length, 3_000_000);
      await store.remove(`${host}/team/app:1`, new Set());
      t.deepEqual(content(), { blobs: [], layers: [], incoming: [] });
      const byDigest = `${host}/team/app@${image.digest}`;
      const again = await store.pull(byDigest, { abort: soon() });
      t.deepEqual(again.references, [byDigest]);
      await t.throwsAsync(store.pull(`${host}/team/app:2`, { abort: soon() }), {
        message: /has no tag 2 of team\/app: it answered 404 \(manifest unknown\)/,
      });
    });
  }),
);

registryTest("an image whose manifest leaves its type out is described, saved and pushed on", (t) =>
  withStore(async ({ root, store }) => {
    const image = buildImage([fileLayer("one", "1", "gzip")]);
    const { mediaType, ...silent } = JSON.parse(image.manifest.toString());
    await withDockerRegistry(root, async (host) => {
      const manifest = json(silent);
      await pushByHand(host, { repository: "app", tag: "1" }, { ...image, manifest, mediaType });
      const { digest } = await store.pull(`${host}/app:1`, { abort: soon() });
      t.is((await store.describe(digest))?.layers.length, 1);
      const chunks: Uint8Array[] = [];
      const saved = store.save([`${host}/app:1`], { format: "oci-archive", abort: soon() });
      for await (const chunk of saved) chunks.push(chunk);
      writeFileSync(join(root, "saved.tar"), Buffer.concat(chunks));
      const [loaded] = await store.load(join(root, "saved.tar"), { abort: soon() });
      t.is(loaded?.digest, digest);
      t.is((await store.push(digest, `${host}/other:1`, { abort: soon() })).digest, digest);
      t.is(await store.resolve(`${host}/other:1`, soon()), digest);
    });
  }),
);
