import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { kernelTest } from "../kernel/kernel-test.ts";
import { type BuiltImage, buildImage, fileLayer } from "./image-builder.ts";
import { type StoreBench, soon, withStore } from "./store-harness.ts";
import { type TestRegistry, withRegistry } from "./test-registry.ts";

const base = fileLayer("base", "b".repeat(50_000));
const image = (own: string): BuiltImage => buildImage([base, fileLayer("own", own.repeat(1000))]);

/** Two images on one base, pulled one after the other. */
async function withTwo(
  work: (two: StoreBench & { registry: TestRegistry; first: string; second: string }) => unknown,
): Promise<void> {
  await withRegistry((registry) =>
    withStore(async (bench) => {
      registry.add("app", "1", image("x"));
      registry.add("app", "2", image("y"));
      const [first, second] = [`${registry.host}/app:1`, `${registry.host}/app:2`];
      await bench.store.pull(first, { abort: soon() });
      await bench.store.pull(second, { abort: soon() });
      await work({ ...bench, registry, first, second });
    }),
  );
}

function bytesIn(path: string): number {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

kernelTest("a description has the layers, their sizes, and what is shared and own", (t) =>
  withTwo(async ({ store, images, first, second }) => {
    const details = await store.describe(first);
    const built = image("x");
    t.is(details?.digest, built.digest);
    t.is(details?.configDigest, built.configDigest);
    t.is(details?.origin, "registry");
    t.deepEqual(
      details?.layers.map(({ digest, unpackedBytes }) => ({ digest, unpackedBytes })),
      [
        { digest: built.layerDigests[0] ?? "", unpackedBytes: 50_000 },
        { digest: built.layerDigests[1] ?? "", unpackedBytes: 1000 },
      ],
    );
    const other = store.find(second)?.digest ?? "";
    t.deepEqual(
      details?.layers.map(({ sharedWith }) => sharedWith),
      [[other], []],
    );
    const before = bytesIn(images);
    const removal = await store.remove(first, new Set());
    t.is(before - bytesIn(images), details?.ownBytes ?? -1);
    t.is(removal.bytes, details?.ownBytes ?? -1);
    t.is((await store.describe(second))?.sharedBytes, 0);
    t.is(await store.describe(first), undefined);
  }),
);

kernelTest("the history of an image names the layer of each step that made one", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store }) => {
      const history = [
        { created: "2026-01-01T00:00:00Z", created_by: "ADD a" },
        { created_by: "ENV A=1", empty_layer: true, comment: "buildkit" },
        { created_by: "ADD b", author: "you" },
      ];
      const built = buildImage([fileLayer("a", "1"), fileLayer("b", "2")], { more: { history } });
      registry.add("app", "1", built);
      const details = await store.describe(
        (await store.pull(`${registry.host}/app:1`, { abort: soon() })).digest,
      );
      const [a, b] = built.layerDigests.map((digest) => ({
        digest,
        sizeBytes: built.blobs.get(digest)?.length,
      }));
      t.deepEqual(details?.history, [
        { createdBy: "ADD a", createdAt: "2026-01-01T00:00:00Z", layer: a },
        { createdBy: "ENV A=1", comment: "buildkit" },
        { createdBy: "ADD b", author: "you", layer: b },
      ] as never);
    }),
  ),
);

kernelTest("an image goes with its last name only, and a foreign name of it removes nothing", (t) =>
  withTwo(async ({ store, first }) => {
    const digest = store.find(first)?.digest ?? "";
    store.tag(digest, "kept:1");
    t.like(await store.remove(first, new Set()), { isRemoved: false, references: [first] });
    await t.throwsAsync(store.remove(`other/name@${digest}`, new Set()), {
      message: /under other names only \(docker.io\/library\/kept:1\)/,
    });
    t.is(store.find("kept:1")?.digest, digest);
    t.like(await store.remove("kept:1", new Set()), { isRemoved: true });
    t.is(store.find(digest), undefined);
  }),
);

kernelTest("a dry run says to the byte what the run then frees, and changes nothing", (t) =>
  withTwo(async ({ store, images, second, content }) => {
    const keep = () => new Set([store.find(second)?.digest ?? ""]);
    const before = content();
    const dry = await store.collectGarbage(keep, { dryRun: true });
    t.deepEqual(content(), before);
    const bytes = bytesIn(images);
    const wet = await store.collectGarbage(keep);
    t.deepEqual(wet.images, dry.images);
    t.is(bytes - bytesIn(images), dry.bytes);
    t.is(wet.bytes, dry.bytes);
    t.deepEqual(
      store.list().map(({ references }) => references),
      [[second]],
    );
  }),
);

kernelTest(
  "collection spares named images, new ones, used ones and local ones when asked to",
  (t) =>
    withTwo(async ({ store, registry, first, second }) => {
      const names = async (options: Parameters<typeof store.collectGarbage>[1]) =>
        (await store.collectGarbage(() => new Set(), { ...options, dryRun: true })).images.flatMap(
          ({ references }) => references,
        );
      t.deepEqual(await names({ dangling: true }), []);
      t.deepEqual(await names({ unusedSinceMs: 1 }), []);
      t.deepEqual(await names({ unusedSinceMs: Date.now() + 1 }), [first, second]);
      // The first alone is enough, and it is the older one.
      t.deepEqual(await names({ bytesWanted: 1 }), [first]);
      // The name moves on: what it meant before is dangling.
      registry.add("app", "1", image("z"));
      await store.pull(first, { abort: soon() });
      const { images } = await store.collectGarbage(() => new Set(), { dangling: true });
      t.deepEqual(
        images.map(({ digest, references }) => ({ digest, references })),
        [{ digest: image("x").digest, references: [] }],
      );
      t.deepEqual(await names({ fromRegistries: true }), [second, first]);
    }),
);

kernelTest("what became needed while sizes were counted is not removed", (t) =>
  withTwo(async ({ store, first, second }) => {
    const digest = store.find(first)?.digest ?? "";
    let asked = 0;
    const needed = () => (++asked > 2 ? new Set([digest]) : new Set<string>());
    const { images } = await store.collectGarbage(needed);
    t.deepEqual(
      images.map(({ references }) => references),
      [[second]],
    );
    t.is(store.find(first)?.digest, digest);
  }),
);
