import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pushByHand, registryTest, withDockerRegistry } from "./docker-registry.ts";
import { buildImage, fileLayer } from "./image-builder.ts";
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
