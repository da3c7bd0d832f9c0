import type { BlobStore } from "./blob-store.ts";
import { type CollectorParts, collectContent } from "./collect-content.ts";
import type { Digest } from "./digest.ts";
import type { ImageRecord } from "./image-records.ts";
import { type ContentKey, ownContent, sizesOf } from "./image-sizes.ts";
import type { CollectOptions, ImageRemoval } from "./image-store.ts";

type Parts = CollectorParts & { readonly blobs: BlobStore };

/**
 * Removes what `needed` does not name and the options do not spare, what was used last going last. `needed` is asked
 * again in the turn of the event loop in which records go: what became needed meanwhile stays.
 */
export async function collectImages(
  parts: Parts,
  needed: () => ReadonlySet<string>,
  options: CollectOptions,
): Promise<{ readonly images: readonly ImageRemoval[]; readonly bytes: number }> {
  const { records } = parts;
  const { bytesWanted = Number.POSITIVE_INFINITY, dryRun = false } = options;
  const candidates = records
    .images()
    .filter((image) => isSpare(parts, image, needed()) && mayGo(parts, image, options))
    .toSorted((a, b) => records.usedAtMs(a) - records.usedAtMs(b));
  const known = new Map<ContentKey, number>();
  const going = new Set<Digest>();
  const removals: ImageRemoval[] = [];
  let bytes = 0;
  for (const { digest } of candidates) {
    if (bytes >= bytesWanted) break;
    going.add(digest);
    const sizes = await sizesOf(parts, ownContent(records, going), known);
    const freed = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    const references = records.referencesOf(digest);
    removals.push({ digest, references, isRemoved: true, bytes: freed - bytes });
    bytes = freed;
  }
  if (dryRun) return { images: removals, bytes };
  const now = needed();
  const gone = removals.filter(({ digest }) => {
    const image = records.images().find((other) => other.digest === digest);
    if (image === undefined || !isSpare(parts, image, now)) return false;
    parts.trace?.(`forget image ${digest}`);
    records.removeImage(image.digest);
    return true;
  });
  return { images: gone, bytes: await collectContent(parts) };
}

function isSpare(
  { records, pins }: Parts,
  { digest }: ImageRecord,
  needed: ReadonlySet<string>,
): boolean {
  const names = [digest, ...records.indexesOf(digest)];
  return !names.some((name) => needed.has(name)) && !pins.has(digest);
}

function mayGo({ records }: Parts, image: ImageRecord, options: CollectOptions): boolean {
  const { dangling = false, fromRegistries = false, unusedSinceMs } = options;
  if (dangling && records.referencesOf(image.digest).length > 0) return false;
  if (fromRegistries && image.origin !== "registry") return false;
  return unusedSinceMs === undefined || records.usedAtMs(image) < unusedSinceMs;
}
