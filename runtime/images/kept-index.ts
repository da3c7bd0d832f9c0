import type { BlobStore } from "./blob-store.ts";
import type { Digest } from "./digest.ts";
import { DOCUMENT_BYTES_MAX, INDEX_BLOBS_MAX, INDEX_DEPTH_MAX } from "./image-limits.ts";
import { type Descriptor, parseManifestDocument } from "./manifest-document.ts";
import { listPlatforms } from "./platform.ts";

/** The index that an image was chosen from, and what of it is in the store. */
export type KeptIndex = {
  readonly digest: Digest;
  /** Of the whole index: documents, configurations and layers. Empty where something is missing. */
  readonly blobs: readonly Digest[];
  /** What of it is not here, as `linux/arm64`. */
  readonly missing: readonly string[];
};

export type IndexDocument = {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly contentType?: string | undefined;
};

type Walk = {
  readonly blobs: BlobStore;
  /** Documents that are at hand and perhaps not stored yet. */
  readonly documents: ReadonlyMap<Digest, Buffer>;
  /** Called before it is looked for. */
  readonly pin: (digest: Digest) => void;
  readonly found: Set<Digest>;
  readonly missing: Descriptor[];
  /** Entries by digest, with their size where all that they name is here: an index may name one as often as it likes. */
  readonly seen: Map<Digest, number | undefined>;
};

/** Looks for all that an index names, down to the layers of its images. Reads documents, and of layers their sizes. */
export async function lookForIndex(
  root: IndexDocument,
  parts: Pick<Walk, "blobs" | "documents" | "pin">,
): Promise<KeptIndex> {
  const walk: Walk = { ...parts, found: new Set(), missing: [], seen: new Map() };
  await walkIndex(walk, root, 0);
  const missing = listPlatforms(walk.missing);
  return { digest: root.digest, blobs: missing.length === 0 ? [...walk.found] : [], missing };
}

async function walkIndex(walk: Walk, root: IndexDocument, depth: number): Promise<void> {
  const document = parseManifestDocument(root.bytes, root.contentType);
  walk.found.add(root.digest);
  if (document.kind === "manifest") throw new Error(`${root.digest} is no index`);
  for (const entry of document.index.manifests) {
    if (!(await findEntry(walk, entry, depth))) walk.missing.push(entry);
  }
}

async function findEntry(walk: Walk, entry: Descriptor, depth: number): Promise<boolean> {
  const { digest, size } = entry;
  if (walk.seen.has(digest)) return walk.seen.get(digest) === size;
  walk.seen.set(digest, undefined);
  const isHere = await findUnseen(walk, entry, depth);
  if (isHere) walk.seen.set(digest, size);
  return isHere;
}

async function findUnseen(walk: Walk, entry: Descriptor, depth: number): Promise<boolean> {
  walk.pin(entry.digest);
  const bytes =
    walk.documents.get(entry.digest) ??
    (await walk.blobs.readWhole(entry.digest, DOCUMENT_BYTES_MAX));
  if (bytes === undefined || bytes.length !== entry.size) return false;
  const document = parseManifestDocument(bytes, entry.mediaType, "anything");
  if (document.kind === "index") {
    if (depth >= INDEX_DEPTH_MAX) return false;
    await walkIndex(walk, { bytes, digest: entry.digest, contentType: entry.mediaType }, depth + 1);
    return true;
  }
  walk.found.add(entry.digest);
  for (const { digest, size } of [document.manifest.config, ...document.manifest.layers]) {
    walk.pin(digest);
    const isHere = (await walk.blobs.size(digest)) === size;
    if (!isHere || walk.found.size >= INDEX_BLOBS_MAX) return false;
    walk.found.add(digest);
  }
  return true;
}
