import { createReadStream } from "node:fs";
import { type PushProgress, pushContent } from "../registry/push-content.ts";
import { ImageError, imageFailure, printable } from "./image-error.ts";
import { DOCUMENT_BYTES_MAX } from "./image-limits.ts";
import { noSuchImage } from "./image-names.ts";
import { blobsOf, type ImageRecord } from "./image-records.ts";
import { parseManifestDocument } from "./manifest-document.ts";
import { formatReference, parseReference } from "./reference.ts";
import type { StoreParts } from "./stored-images.ts";

const READ_BYTES = 1024 * 1024;

type PushOrder = {
  /** As the caller names it, for errors. */
  readonly name: string;
  readonly record: ImageRecord | undefined;
  readonly target: string;
  readonly abort: AbortSignal;
  readonly onProgress?: (progress: PushProgress) => void;
};

/** Sends a stored image to the registry that the name says, byte for byte as it is here: its digest stays. */
export async function pushStored(parts: StoreParts, order: PushOrder): Promise<ImageRecord> {
  const { record, abort } = order;
  const doing = `push ${printable(order.name, 200)} as ${printable(order.target, 200)}`;
  if (record === undefined) throw noSuchImage(doing);
  const unpin = parts.pins.hold(blobsOf(record));
  try {
    await push(parts, { ...order, record });
    return record;
  } catch (error) {
    throw imageFailure(doing, error, { abort, directory: parts.layout.root });
  } finally {
    unpin();
  }
}

async function push(
  { blobs, registry, records }: StoreParts,
  order: PushOrder & { readonly record: ImageRecord },
): Promise<void> {
  const { record, abort } = order;
  const target = parseReference(order.target);
  if (target.digest !== undefined && target.digest !== record.digest) {
    throw new ImageError({
      because: `the name has the digest ${target.digest} and the image ${record.digest}`,
      fix: "push it by a tag",
      kind: "stalled",
    });
  }
  const bytes = await blobs.readWhole(record.digest, DOCUMENT_BYTES_MAX);
  if (bytes === undefined) throw new Error(`the manifest ${record.digest} is not in the store`);
  const reference = formatReference(target);
  await pushContent(registry, {
    source: {
      manifest: () => Promise.reject(new Error("a stored image is no index")),
      open: ({ digest }, start) =>
        createReadStream(blobs.path(digest), { start, highWaterMark: READ_BYTES }),
      // The repositories of its other names may hold its layers already.
      mountFrom: repositoriesOn(target.registry, records.referencesOf(record.digest)),
    },
    root: { bytes, digest: record.digest, contentType: parseManifestDocument(bytes).mediaType },
    target,
    abort,
    onProgress: (progress) => order.onProgress?.({ reference, ...progress }),
  });
}

function repositoriesOn(registry: string, names: readonly string[]): readonly string[] {
  const same = names.map(parseReference).filter((name) => name.registry === registry);
  return [...new Set(same.map(({ repository }) => repository))];
}
