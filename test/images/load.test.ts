import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { buildTar, type TarEntry } from "../builders/tar.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import {
  architecture,
  type BuiltImage,
  buildImage,
  describe,
  digestOf,
  fileLayer,
  json,
  ociIndex,
  ociManifest,
} from "./image-builder.ts";
import { soon, withStore } from "./store-harness.ts";

const image = buildImage([fileLayer("a", "1", "zstd"), fileLayer("b", "2")]);
const hex = (digest: string): string => digest.slice("sha256:".length);

/** The files of an OCI layout, with one entry of the index for each name. */
function layoutFiles(
  images: readonly { readonly image: BuiltImage; readonly annotations: object }[],
): Map<string, Buffer> {
  const manifests = images.map(({ image: { manifest }, annotations }) => ({
    ...describe(ociManifest, manifest),
    annotations,
  }));
  const files = new Map([
    ["oci-layout", json({ imageLayoutVersion: "1.0.0" })],
    ["index.json", json({ schemaVersion: 2, mediaType: ociIndex, manifests })],
  ]);
  for (const { image: built } of images) {
    files.set(`blobs/sha256/${hex(built.digest)}`, built.manifest);
    for (const [digest, bytes] of built.blobs) files.set(`blobs/sha256/${hex(digest)}`, bytes);
  }
  return files;
}

function archive(files: ReadonlyMap<string, Buffer>, more: readonly TarEntry[] = []): Buffer {
  const entries = [...files].map(([path, content]) => ({ type: "file", path, content }) as const);
  return buildTar([...entries, ...more]);
}

function writeLayout(root: string, files: ReadonlyMap<string, Buffer>): string {
  const path = join(root, "layout");
  mkdirSync(join(path, "blobs", "sha256"), { recursive: true });
  for (const [name, bytes] of files) writeFileSync(join(path, name), bytes);
  return path;
}

const named = { "org.opencontainers.image.ref.name": "example.com/app:1" };

kernelTest("a layout directory is loaded under the name of its annotation", (t) =>
  withStore(async ({ root, store }) => {
    const path = writeLayout(root, layoutFiles([{ image, annotations: named }]));
    const [loaded] = await store.load(path, { abort: soon() });
    t.is(loaded?.digest, image.digest);
    t.deepEqual(loaded?.references, ["example.com/app:1"]);
    t.is(readFileSync(join(loaded?.layerDirs[1] ?? "", "b"), "utf8"), "2");
    t.is(store.find("example.com/app:1")?.digest, image.digest);
  }),
);

const wrappings = [
  ["plain", (bytes: Buffer) => bytes],
  ["gzip", (bytes: Buffer) => gzipSync(bytes)],
  ["zstd", (bytes: Buffer) => zstdCompressSync(bytes)],
  [
    "two-member gzip",
    (bytes: Buffer) => Buffer.concat(halves(bytes).map((half) => gzipSync(half))),
  ],
  [
    "many-framed zstd",
    (bytes: Buffer) =>
      Buffer.concat(halves(bytes).flatMap((half) => [skippable, zstdCompressSync(half)])),
  ],
] as const;
const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);

function halves(bytes: Buffer): readonly Buffer[] {
  const middle = bytes.length >> 1;
  return [bytes.subarray(0, middle), bytes.subarray(middle)];
}

for (const [form, wrap] of wrappings) {
  kernelTest(`a ${form} oci-archive is loaded under the name that is given`, (t) =>
    withStore(async ({ root, store, content }) => {
      const path = join(root, "image.tar");
      writeFileSync(path, wrap(archive(layoutFiles([{ image, annotations: {} }]))));
      const options = { reference: "localhost/web:2", abort: soon() };
      const [loaded] = await store.load(path, options);
      t.deepEqual(loaded?.references, ["localhost/web:2"]);
      t.is(loaded?.digest, image.digest);
      t.is(content().blobs.length, 4);
      t.deepEqual(content().incoming, []);
    }),
  );
}

kernelTest("a docker-archive with linked layers is loaded with its tags, twice the same", (t) =>
  withStore(async ({ root, store, content }) => {
    const path = join(root, "image.tar");
    const config = `${hex(image.configDigest)}.json`;
    const layers = ["x/layer.tar", "y/layer.tar"];
    const manifest = [{ Config: config, RepoTags: ["app:1", "example.com/app:2"], Layers: layers }];
    const files = new Map([
      [config, image.config],
      ["x/VERSION", Buffer.from("1.0")],
      ["real.tar", image.tars[0] ?? Buffer.alloc(0)],
      ["y/layer.tar", image.tars[1] ?? Buffer.alloc(0)],
      ["manifest.json", json(manifest)],
    ]);
    const link = { type: "symlink", path: "x/layer.tar", target: "../real.tar" } as const;
    writeFileSync(path, gzipSync(archive(files, [link])));
    const [loaded] = await store.load(path, { abort: soon() });
    t.deepEqual(loaded?.references.toSorted(), ["docker.io/library/app:1", "example.com/app:2"]);
    t.deepEqual(loaded?.layerDigests, image.tars.map(digestOf));
    t.is(readFileSync(join(loaded?.layerDirs[0] ?? "", "a"), "utf8"), "1");
    const before = content();
    const [again] = await store.load(path, { abort: soon() });
    t.is(again?.digest, loaded?.digest);
    t.deepEqual(content(), before);
  }),
);

kernelTest("several images of one archive share what they have in common", (t) =>
  withStore(async ({ root, store, content }) => {
    const other = buildImage([fileLayer("a", "1", "zstd"), fileLayer("c", "3")]);
    const second = { "io.containerd.image.name": "docker.io/library/other:latest" };
    const files = layoutFiles([
      { image, annotations: named },
      { image: other, annotations: { ...second, "org.opencontainers.image.ref.name": "latest" } },
    ]);
    const path = join(root, "image.tar");
    writeFileSync(path, archive(files));
    const loaded = await store.load(path, { abort: soon() });
    t.deepEqual(
      loaded.map(({ references }) => references),
      [["example.com/app:1"], ["docker.io/library/other:latest"]],
    );
    t.is(content().layers.length, 3);
    await t.throwsAsync(store.load(path, { reference: "one:1", abort: soon() }), {
      message: /holds 2 images, which cannot all be named one:1/,
    });
  }),
);

kernelTest(
  "only the platform's image of an archive is loaded; of its index the rest is kept, packed",
  (t) =>
    withStore(async ({ root, store, content }) => {
      const foreign = buildImage([fileLayer("f", "9")], { architecture: "mips" });
      const files = layoutFiles([
        { image, annotations: named },
        { image: foreign, annotations: {} },
      ]);
      const inner = json({
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
      const outer = { ...describe(ociIndex, inner), annotations: named };
      files.set(`blobs/sha256/${hex(digestOf(inner))}`, inner);
      files.set("index.json", json({ schemaVersion: 2, manifests: [outer] }));
      const path = join(root, "image.tar");
      writeFileSync(path, archive(files));
      const loaded = await store.load(path, { abort: soon() });
      t.deepEqual(
        loaded.map(({ digest }) => digest),
        [image.digest],
      );
      // Two manifests, two configurations, three layers, the index.
      t.is(content().blobs.length, 8);
      t.is(content().layers.length, 2);
    }),
);

type Fault = { title: string; message: RegExp; files: (files: Map<string, Buffer>) => void };

const faults: readonly Fault[] = [
  {
    title: "a blob that is not what its name says",
    message: /blobs\/sha256\/.* has the digest sha256:/,
    files: (files) => files.set(`blobs/sha256/${hex(image.configDigest)}`, Buffer.from("{}")),
  },
  {
    title: "a blob that is missing",
    message: /lacks the blob sha256:/,
    files: (files) => files.delete(`blobs/sha256/${hex(image.layerDigests[1] ?? "")}`),
  },
  {
    title: "no image at all",
    message: /neither an OCI layout nor a manifest\.json/,
    files: (files) => files.delete("index.json"),
  },
  {
    title: "a path that leaves the archive",
    message: /leaves the archive/,
    files: (files) => files.set("../../escaped", Buffer.from("x")),
  },
];

for (const fault of faults) {
  kernelTest(`an archive with ${fault.title} is refused and leaves nothing`, (t) =>
    withStore(async ({ root, store, content }) => {
      const files = layoutFiles([{ image, annotations: named }]);
      fault.files(files);
      const path = join(root, "image.tar");
      writeFileSync(path, archive(files));
      const error = await t.throwsAsync(store.load(path, { abort: soon() }), {
        name: "ImageError",
      });
      t.regex(error?.message ?? "", fault.message);
      t.true(error?.message.startsWith(`cannot load ${path} because `));
      t.deepEqual(content(), { blobs: [], layers: [], incoming: [] });
    }),
  );
}

kernelTest("a device is not read as an archive", (t) =>
  withStore(async ({ store }) => {
    await t.throwsAsync(store.load("/dev/zero", { abort: soon() }), {
      message: /\/dev\/zero is not a regular file/,
    });
  }),
);

kernelTest("a file that is not there is named", (t) =>
  withStore(async ({ store }) => {
    await t.throwsAsync(store.load("/nonexistent/image.tar", { abort: soon() }), {
      message: /cannot load \/nonexistent\/image\.tar because there is no such file or directory/,
    });
  }),
);
