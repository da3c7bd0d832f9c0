import { createHash } from "node:crypto";
import { arch } from "node:os";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { buildTar, type TarEntry } from "../builders/tar.ts";

export type LayerRecipe = {
  readonly entries: readonly TarEntry[];
  readonly compression?: "none" | "gzip" | "zstd";
  /** What the configuration claims instead of the truth. */
  readonly diffId?: string;
};

export type BuiltImage = {
  readonly manifest: Buffer;
  readonly mediaType: string;
  readonly digest: string;
  readonly configDigest: string;
  readonly layerDigests: readonly string[];
  /** Uncompressed, lowest first. */
  readonly tars: readonly Buffer[];
  readonly config: Buffer;
  /** Configuration and layers. */
  readonly blobs: ReadonlyMap<string, Buffer>;
};

export const architecture = arch() === "x64" ? "amd64" : arch();
export const ociManifest = "application/vnd.oci.image.manifest.v1+json";
export const ociIndex = "application/vnd.oci.image.index.v1+json";

/** An image in memory, complete and correct unless the recipe asks for something else. */
export function buildImage(
  layers: readonly LayerRecipe[],
  more: {
    readonly config?: object;
    readonly architecture?: string;
    /** Further fields of the configuration. */
    readonly more?: object;
  } = {},
): BuiltImage {
  const tars = layers.map(({ entries }) => buildTar(entries));
  const packed = tars.map((tar, index) => compress(tar, layers[index]?.compression ?? "gzip"));
  const config = json({
    architecture: more.architecture ?? architecture,
    os: "linux",
    created: "2026-01-02T03:04:05Z",
    ...more.more,
    config: more.config ?? {},
    rootfs: {
      type: "layers",
      diff_ids: tars.map((tar, index) => layers[index]?.diffId ?? digestOf(tar)),
    },
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: ociManifest,
    config: describe("application/vnd.oci.image.config.v1+json", config),
    layers: packed.map((blob) => describe("application/vnd.oci.image.layer.v1.tar+gzip", blob)),
  });
  return {
    manifest,
    mediaType: ociManifest,
    digest: digestOf(manifest),
    configDigest: digestOf(config),
    layerDigests: packed.map(digestOf),
    tars,
    config,
    blobs: new Map([config, ...packed].map((blob) => [digestOf(blob), blob] as const)),
  };
}

export function fileLayer(
  path: string,
  content: string | Uint8Array,
  compression: LayerRecipe["compression"] = "gzip",
): LayerRecipe {
  return { entries: [{ type: "file", path, content: Buffer.from(content) }], compression };
}

export function describe(
  mediaType: string,
  blob: Buffer,
): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: digestOf(blob), size: blob.length };
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function compress(tar: Buffer, compression: "none" | "gzip" | "zstd"): Buffer {
  if (compression === "gzip") return gzipSync(tar);
  return compression === "zstd" ? zstdCompressSync(tar) : tar;
}
