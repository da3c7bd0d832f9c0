import type { BlobStore } from "./blob-store.ts";
import type { Digest } from "./digest.ts";
import { blobsOf, type ImageRecord, type ImageRecords } from "./image-records.ts";

/** A blob by its digest, or an unpacked layer by its ChainID: the first layer's ChainID is the digest of its tar. */
export type ContentKey = `blob ${Digest}` | `layer ${Digest}`;

export function contentOf(image: ImageRecord): readonly ContentKey[] {
  return [
    ...blobsOf(image).map((digest): ContentKey => `blob ${digest}`),
    ...image.layers.map(({ chainId }): ContentKey => `layer ${chainId}`),
  ];
}

/** What nothing would need any more without these images. */
export function ownContent(
  records: ImageRecords,
  images: ReadonlySet<Digest>,
): ReadonlySet<ContentKey> {
  const others = records.needed(images);
  const own = new Set<ContentKey>();
  for (const image of records.images()) {
    if (!images.has(image.digest)) continue;
    for (const { chainId } of image.layers) {
      if (!others.layers.has(chainId)) own.add(`layer ${chainId}`);
    }
    for (const digest of blobsOf(image)) {
      if (!others.blobs.has(digest)) own.add(`blob ${digest}`);
    }
  }
  return own;
}

/** Bytes of each: of a blob's file, of the content of a layer's files. `known` saves asking the disk again. */
export async function sizesOf(
  parts: { readonly blobs: BlobStore; readonly records: ImageRecords },
  keys: Iterable<ContentKey>,
  known: Map<ContentKey, number> = new Map(),
): Promise<ReadonlyMap<ContentKey, number>> {
  const sizes = new Map<ContentKey, number>();
  for (const key of keys) {
    const size = known.get(key) ?? (await sizeOf(parts, key));
    known.set(key, size);
    sizes.set(key, size);
  }
  return sizes;
}

async function sizeOf(
  { blobs, records }: { readonly blobs: BlobStore; readonly records: ImageRecords },
  key: ContentKey,
): Promise<number> {
  const [kind, digest] = key.split(" ") as ["blob" | "layer", Digest];
  return kind === "layer" ? records.layerBytes(digest) : ((await blobs.size(digest)) ?? 0);
}
