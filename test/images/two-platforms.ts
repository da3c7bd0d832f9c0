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
type Part = Pick<BuiltImage, "digest" | "manifest" | "blobs">;

const statement = json({ _type: "https://in-toto.io/Statement/v1" });
const attestationConfig = json({
  architecture: "unknown",
  os: "unknown",
  config: {},
  rootfs: { type: "layers", diff_ids: [] },
});
const attestationManifest = json({
  schemaVersion: 2,
  mediaType: ociManifest,
  config: describe("application/vnd.oci.image.config.v1+json", attestationConfig),
  layers: [describe("application/vnd.in-toto+json", statement)],
});
/** As BuildKit puts it beside its images: no image, and no platform's. */
export const attestation: Part = {
  manifest: attestationManifest,
  digest: digestOf(attestationManifest),
  blobs: new Map([attestationConfig, statement].map((blob) => [digestOf(blob), blob])),
};

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
/** Of this machine's, with an attestation. */
export const attestedIndex = json({
  schemaVersion: 2,
  mediaType: ociIndex,
  manifests: [
    { ...describe(ociManifest, own.manifest), platform: { os: "linux", architecture } },
    {
      ...describe(ociManifest, attestation.manifest),
      platform: { os: "unknown", architecture: "unknown" },
    },
  ],
});

/** An oci-archive of the index with what these images are made of. */
function archive(images: readonly Part[], index: Buffer): Buffer {
  const blobs = new Map([[digestOf(index), index]]);
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
  images: readonly Part[],
  of: Buffer = index,
): Promise<void> {
  const path = join(root, "many.tar");
  writeFileSync(path, archive(images, of));
  await store.load(path, { abort: soon() });
}
