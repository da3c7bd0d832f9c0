import { mkdir, readdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ArchiveFile, writeArchive } from "./archive-writer.ts";
import type { BlobStore } from "./blob-store.ts";
import { type Digest, digestHex } from "./digest.ts";
import { DurableFile, syncDirectory } from "./durable-files.ts";
import { ImageError } from "./image-error.ts";
import { DOCUMENT_BYTES_MAX } from "./image-limits.ts";
import type { ImageRecord } from "./image-records.ts";
import { parseManifestDocument } from "./manifest-document.ts";
import { indexTypes } from "./media-types.ts";

/** An image and the names that it is saved under, which may be none. */
export type SavedImage = { readonly record: ImageRecord; readonly references: readonly string[] };

export type ArchiveFormat = "oci-archive" | "docker-archive";

/**
 * One stream with all of the images. A docker-archive is an OCI layout with a `manifest.json` beside it, as Docker writes
 * it since version 25: whoever reads the one form or the other finds the same blobs, and digests stay as they are.
 */
export async function* saveArchive(
  blobs: BlobStore,
  images: readonly SavedImage[],
  format: ArchiveFormat,
): AsyncGenerator<Uint8Array> {
  const documents = await layoutDocuments(blobs, images);
  if (format === "docker-archive") documents.push(["manifest.json", dockerManifest(images)]);
  yield* writeArchive(archiveFiles(blobs, images, documents));
}

/** Writes an OCI layout directory (image-spec, image-layout.md). It has its name once it is complete and on the disk. */
export async function saveLayout(
  blobs: BlobStore,
  images: readonly SavedImage[],
  order: {
    readonly path: string;
    readonly abort: AbortSignal;
    remove(path: string): Promise<void>;
  },
): Promise<void> {
  await checkPlace(order.path);
  const partial = `${order.path}.partial-${process.pid}`;
  try {
    await mkdir(join(partial, "blobs", "sha256"), { recursive: true });
    const documents = await layoutDocuments(blobs, images);
    for await (const { path, body } of archiveFiles(blobs, images, documents)) {
      order.abort.throwIfAborted();
      await writeFile(join(partial, path), body);
    }
    for (const path of ["blobs/sha256", "blobs", "."]) await syncDirectory(join(partial, path));
    await rename(partial, order.path);
    await syncDirectory(dirname(order.path));
  } finally {
    await order.remove(partial);
  }
}

/** Documents first, so that a reader of a stream knows what the blobs are. */
async function* archiveFiles(
  blobs: BlobStore,
  images: readonly SavedImage[],
  documents: readonly (readonly [string, Buffer])[],
): AsyncGenerator<ArchiveFile> {
  for (const [path, bytes] of documents) yield { path, size: bytes.length, body: only(bytes) };
  const digests = images.flatMap(({ record }) => [
    record.digest,
    record.configDigest,
    ...record.layers.map(({ digest }) => digest),
  ]);
  for (const digest of new Set(digests)) {
    const size = await blobs.size(digest);
    if (size === undefined) throw missing(digest);
    yield { path: blobPath(digest), size, body: blobs.read(digest, size) };
  }
}

async function layoutDocuments(
  blobs: BlobStore,
  images: readonly SavedImage[],
): Promise<[string, Buffer][]> {
  const manifests: unknown[] = [];
  for (const { record, references } of images) {
    const bytes = await blobs.readWhole(record.digest, DOCUMENT_BYTES_MAX);
    if (bytes === undefined) throw missing(record.digest);
    const { mediaType } = parseManifestDocument(bytes);
    const { digest, os, architecture, variant } = record;
    const platform = { architecture, os, ...(variant === undefined ? {} : { variant }) };
    const described = { mediaType, digest, size: bytes.length, platform };
    if (references.length === 0) manifests.push(described);
    for (const name of references) {
      manifests.push({
        ...described,
        annotations: {
          "io.containerd.image.name": name,
          "org.opencontainers.image.ref.name": name,
        },
      });
    }
  }
  const index = { schemaVersion: 2, mediaType: indexTypes[0], manifests };
  return [
    ["oci-layout", Buffer.from(JSON.stringify({ imageLayoutVersion: "1.0.0" }))],
    ["index.json", Buffer.from(JSON.stringify(index))],
  ];
}

/** Docker's own names are the short ones. */
function dockerManifest(images: readonly SavedImage[]): Buffer {
  const entries = images.map(({ record, references }) => ({
    Config: blobPath(record.configDigest),
    RepoTags: references.filter((name) => !name.includes("@")).map(familiarName),
    Layers: record.layers.map(({ digest }) => blobPath(digest)),
  }));
  return Buffer.from(JSON.stringify(entries));
}

/** As Docker prints a name: `nginx:1` for `docker.io/library/nginx:1`. */
function familiarName(reference: string): string {
  return reference.replace(/^docker\.io\/(library\/(?=[^/]*$))?/, "");
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

async function checkPlace(path: string): Promise<void> {
  const entries = await readdir(path).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  });
  if (entries.length === 0) return;
  throw new ImageError({
    because: `${path} is there and not empty`,
    fix: "name a directory that is not there yet",
    kind: "stalled",
  });
}

async function writeFile(path: string, body: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await DurableFile.create(path);
  try {
    for await (const chunk of body) await file.write(chunk);
    await file.finish();
  } finally {
    await file.close();
  }
}

function missing(digest: Digest): ImageError {
  return new ImageError({
    because: `its blob ${digest} is gone`,
    fix: "pull or load the image again, and check the disk",
    kind: "stalled",
  });
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
