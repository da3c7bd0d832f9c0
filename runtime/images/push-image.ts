import { createReadStream } from "node:fs";
import { type PushProgress, pushContent } from "../registry/push-content.ts";
import type { Digest } from "./digest.ts";
import { ImageError, imageFailure, printable } from "./image-error.ts";
import { DOCUMENT_BYTES_MAX } from "./image-limits.ts";
import { noSuchImage } from "./image-names.ts";
import { blobsOf, type ImageRecord } from "./image-records.ts";
import type { PushedImage } from "./image-store.ts";
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

/**
 * Sends a stored image to the registry that the name says, byte for byte as it is here: its digest stays. Where all of the
 * index is here that the image was chosen from, that is sent.
 */
export async function pushStored(parts: StoreParts, order: PushOrder): Promise<PushedImage> {
  const { record, abort } = order;
  const doing = `push ${printable(order.name, 200)} as ${printable(order.target, 200)}`;
  if (record === undefined) throw noSuchImage(doing);
  const unpin = parts.pins.hold(blobsOf(record));
  try {
    return await push(parts, { ...order, record });
  } catch (error) {
    throw imageFailure(doing, error, { abort, directory: parts.layout.root });
  } finally {
    unpin();
  }
}

async function push(
  { blobs, registry, records }: StoreParts,
  order: PushOrder & { readonly record: ImageRecord },
): Promise<PushedImage> {
  const { record, abort } = order;
  const target = parseReference(order.target);
  const { digest, missingPlatforms } = chooseRoot(record, target.digest);
  const stored = async (wanted: Digest): Promise<Buffer> => {
    const bytes = await blobs.readWhole(wanted, DOCUMENT_BYTES_MAX);
    if (bytes === undefined) throw new Error(`the manifest ${wanted} is not in the store`);
    return bytes;
  };
  const bytes = await stored(digest);
  const reference = formatReference(target);
  await pushContent(registry, {
    source: {
      manifest: async (entry) => ({
        bytes: await stored(entry.digest),
        digest: entry.digest,
        contentType: entry.mediaType,
      }),
      open: (blob, start) =>
        createReadStream(blobs.path(blob.digest), { start, highWaterMark: READ_BYTES }),
      // The repositories of its other names may hold its layers already.
      mountFrom: repositoriesOn(target.registry, records.referencesOf(record.digest)),
    },
    root: { bytes, digest, contentType: parseManifestDocument(bytes).mediaType },
    target,
    abort,
    onProgress: (progress) => order.onProgress?.({ reference, ...progress }),
  });
  return { digest, missingPlatforms };
}

/** `named`: the digest in the target's name, which says what is wanted. */
function chooseRoot(
  { digest, index }: ImageRecord,
  named: Digest | undefined,
): { readonly digest: Digest; readonly missingPlatforms: readonly string[] } {
  const missing = index?.missing ?? [];
  const isWhole = index !== undefined && missing.length === 0;
  if (isWhole && named !== digest && (named === undefined || named === index.digest)) {
    return { digest: index.digest, missingPlatforms: [] };
  }
  if (named === undefined) return { digest, missingPlatforms: missing };
  if (named === digest) return { digest, missingPlatforms: [] };
  const isMissing = named === index?.digest;
  throw new ImageError({
    because: isMissing
      ? `${missing.join(", ")} of the index ${named} is not here`
      : `the name has the digest ${named} and the image ${digest}`,
    fix: isMissing ? "copy it between registries with berth copy --all" : "push it by a tag",
    kind: "stalled",
  });
}

function repositoriesOn(registry: string, names: readonly string[]): readonly string[] {
  const same = names.map(parseReference).filter((name) => name.registry === registry);
  return [...new Set(same.map(({ repository }) => repository))];
}
