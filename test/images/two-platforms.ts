import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildTar, type TarEntry } from "../builders/tar.ts";
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
import { type StoreBench, soon } from "./store-harness.ts";

/** For this machine. */
export const own = buildImage([fileLayer("shared", "s"), fileLayer("own", "1")]);
/** For another; they share a layer. */
export const foreign = buildImage([fileLayer("shared", "s"), fileLayer("foreign", "2")], {
  architecture: "mips",
});
/** Of both. */
const index = json({
  schemaVersion: 2,
  mediaType: ociIndex,
  manifests: [
    { ...describe(ociManifest, foreign.manifest), platform: { os: "linux", architecture: "mips" } },
    { ...describe(ociManifest, own.manifest), platform: { os: "linux", architecture } },
  ],
});
export const indexDigest = digestOf(index);

/** An oci-archive of the index with what these images are made of. */
function archive(images: readonly BuiltImage[]): Buffer {
  const blobs = new Map([[indexDigest, index]]);
  for (const image of images) {
    blobs.set(image.digest, image.manifest);
    for (const [digest, bytes] of image.blobs) blobs.set(digest, bytes);
  }
  const name = { "org.opencontainers.image.ref.name": "example.com/many:1" };
  const outer = { ...describe(ociIndex, index), annotations: name };
  const files: TarEntry[] = [
    file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
    file("index.json", json({ schemaVersion: 2, mediaType: ociIndex, manifests: [outer] })),
    ...[...blobs].map(([digest, bytes]) => file(`blobs/sha256/${digest.slice(7)}`, bytes)),
  ];
  return buildTar(files);
}

function file(path: string, content: Buffer): TarEntry {
  return { type: "file", path, content };
}

/** Loads the index with these of its images; its name is example.com/many:1. */
export async function loadIndex(
  { root, store }: StoreBench,
  images: readonly BuiltImage[],
): Promise<void> {
  const path = join(root, "many.tar");
  writeFileSync(path, archive(images));
  await store.load(path, { abort: soon() });
}
