import type { RegistryClient } from "../registry/registry-client.ts";
import type { Digest } from "./digest.ts";
import type { ImageRecord } from "./image-records.ts";
import type { PullProgress } from "./image-store.ts";
import { type IngestParts, ingestImage } from "./ingest-image.ts";
import { formatReference, type ImageReference } from "./reference.ts";

export type PullOrder = {
  readonly reference: ImageReference;
  readonly pin: (digest: Digest) => void;
  readonly abort: AbortSignal;
  readonly onProgress: (progress: PullProgress) => void;
};

/** Brings what a reference names now into the store. Content that is there already is not asked for again. */
export async function pullImage(
  parts: IngestParts & { readonly registry: RegistryClient },
  order: PullOrder,
): Promise<ImageRecord> {
  const { reference, abort } = order;
  const name = formatReference(reference);
  const report = (progress: Omit<PullProgress, "reference">): void =>
    order.onProgress({ reference: name, ...progress });
  report({ phase: "resolve", bytesDone: 0, bytesTotal: 0 });
  const digest = await parts.registry.resolve(reference, abort);
  const stored = parts.records.byDigest(digest);
  if (stored !== undefined) {
    parts.records.setReference(name, stored.digest);
    report({ phase: "done", bytesDone: stored.sizeBytes, bytesTotal: stored.sizeBytes });
    return stored;
  }
  const { registry, repository } = reference;
  const record = await ingestImage(parts, {
    source: {
      name: `registry ${registry}`,
      origin: "registry",
      manifest: (entry, signal) =>
        parts.registry.manifest({ registry, repository, digest: entry.digest }, signal),
      blob: (blob, signal) => parts.registry.blob(reference, blob, signal),
    },
    root: await parts.registry.manifest({ registry, repository, digest }, abort),
    references: [name],
    pin: order.pin,
    abort,
    onProgress: report,
  });
  report({ phase: "done", bytesDone: record.sizeBytes, bytesTotal: record.sizeBytes });
  return record;
}
