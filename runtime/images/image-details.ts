import * as z from "zod";
import type { BlobStore } from "./blob-store.ts";
import { parseImageConfig } from "./image-config.ts";
import { ImageError } from "./image-error.ts";
import { DOCUMENT_BYTES_MAX } from "./image-limits.ts";
import type { ImageRecord, ImageRecords } from "./image-records.ts";
import { contentOf, ownContent, sizesOf } from "./image-sizes.ts";
import type { HistoryEntry, Image, ImageDetails, ImageLayer } from "./image-store.ts";
import { checked, type Descriptor, parseJson, parseManifestDocument } from "./manifest-document.ts";

const text = z.string().nullish();

/** What a configuration says beyond what a runtime acts on; Docker writes null where it means empty. */
const Provenance = z.object({
  author: text,
  history: z
    .array(
      z.object({
        created: text,
        created_by: text,
        author: text,
        comment: text,
        empty_layer: z.boolean().nullish(),
      }),
    )
    .nullish(),
});
type Provenance = z.infer<typeof Provenance>;

/** All that the store knows of an image. Rejects when its documents are damaged. */
export async function describeImage(
  parts: { readonly blobs: BlobStore; readonly records: ImageRecords },
  record: ImageRecord,
  image: Image,
): Promise<ImageDetails> {
  const { blobs, records } = parts;
  const document = parseManifestDocument(await readDocument(blobs, record.digest));
  if (document.kind !== "manifest") throw new Error(`${record.digest} is not an image`);
  const { layers } = document.manifest;
  const configBytes = await readDocument(blobs, record.configDigest);
  const { diffIds } = parseImageConfig(configBytes);
  const what = "image configuration";
  const { author, history } = checked(Provenance, parseJson(configBytes, `the ${what}`), what);
  const sizes = await sizesOf(parts, contentOf(record));
  const own = ownContent(records, new Set([record.digest]));
  const bytes = (isOwn: boolean): number =>
    [...sizes].reduce((sum, [key, size]) => (own.has(key) === isOwn ? sum + size : sum), 0);
  return {
    ...image,
    configDigest: record.configDigest,
    indexDigests: records.indexesOf(record.digest),
    ...(author ? { author } : {}),
    layers: record.layers.map((layer, index): ImageLayer => {
      const described = layers[index];
      return {
        ...layer,
        diffId: diffIds[index] ?? "",
        mediaType: described?.mediaType ?? "",
        sizeBytes: described?.size ?? 0,
        unpackedBytes: records.layerBytes(layer.chainId),
        sharedWith: records
          .images()
          .filter(({ digest }) => digest !== record.digest)
          .filter((other) => other.layers.some(({ chainId }) => chainId === layer.chainId))
          .map(({ digest }) => digest),
      };
    }),
    history: historyOf(history ?? [], layers),
    ownBytes: bytes(true),
    sharedBytes: bytes(false),
    usedAtMs: records.usedAtMs(record),
  };
}

/** Layers belong in order to the entries that are not marked as empty. */
function historyOf(
  entries: NonNullable<Provenance["history"]>,
  layers: readonly Descriptor[],
): HistoryEntry[] {
  let next = 0;
  return entries.map((entry) => {
    const layer = entry.empty_layer === true ? undefined : layers[next];
    if (entry.empty_layer !== true) next += 1;
    return {
      createdBy: entry.created_by ?? "",
      ...(entry.created ? { createdAt: entry.created } : {}),
      ...(entry.author ? { author: entry.author } : {}),
      ...(entry.comment ? { comment: entry.comment } : {}),
      ...(layer === undefined ? {} : { layer: { digest: layer.digest, sizeBytes: layer.size } }),
    };
  });
}

async function readDocument(blobs: BlobStore, digest: ImageRecord["digest"]): Promise<Buffer> {
  const bytes = await blobs.readWhole(digest, DOCUMENT_BYTES_MAX);
  if (bytes !== undefined) return bytes;
  throw new ImageError({
    because: `its document ${digest} is gone`,
    fix: "pull or load the image again, and check the disk",
    kind: "stalled",
  });
}
