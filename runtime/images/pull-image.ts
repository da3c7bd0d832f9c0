import type { RegistryClient } from "../registry/registry-client.ts";
import type { ImageTrust } from "../trust/image-trust.ts";
import type { Digest } from "./digest.ts";
import { ImageError } from "./image-error.ts";
import type { ImageRecord } from "./image-records.ts";
import type { PullProgress } from "./image-store.ts";
import { type IngestOrder, type IngestParts, ingestImage } from "./ingest-image.ts";
import { formatReference, type ImageReference } from "./reference.ts";

export type PullParts = IngestParts & {
  readonly registry: RegistryClient;
  readonly trust: ImageTrust;
};

export type PullOrder = {
  readonly reference: ImageReference;
  readonly pin: (digest: Digest) => void;
  readonly abort: AbortSignal;
  readonly onProgress: (progress: PullProgress) => void;
};

/** Brings what a reference names now into the store. Content that is there already is not asked for again. */
export async function pullImage(parts: PullParts, order: PullOrder): Promise<ImageRecord> {
  const { reference, abort } = order;
  const name = formatReference(reference);
  const report = (progress: Omit<PullProgress, "reference">): void =>
    order.onProgress({ reference: name, ...progress });
  report({ phase: "resolve", bytesDone: 0, bytesTotal: 0 });
  parts.trust.admit(reference);
  const digest = await parts.registry.resolve(reference, { abort });
  // Also for what is here already: it may have come by another name.
  await parts.trust.verify(parts.registry, reference, { digest, options: { abort } });
  const stored = parts.records.byDigest(digest);
  if (stored !== undefined) {
    parts.records.setReference(name, stored.digest);
    report({ phase: "done", bytesDone: stored.sizeBytes, bytesTotal: stored.sizeBytes });
    return stored;
  }
  const record = await fromMirrorsOrNot(parts.registry, order, () =>
    ingestFrom(parts, order, { digest, report }),
  );
  report({ phase: "done", bytesDone: record.sizeBytes, bytesTotal: record.sizeBytes });
  return record;
}

/** What a mirror sends may be damaged in a way that shows at the end only: then the registry itself is asked. */
async function fromMirrorsOrNot<T>(
  registry: RegistryClient,
  { reference, abort }: PullOrder,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const mayBeTheirs = error instanceof ImageError && !abort.aborted;
    if (!mayBeTheirs || !registry.passOverMirrors(reference.registry)) throw error;
    return work();
  }
}

async function ingestFrom(
  parts: PullParts,
  { reference, pin, abort }: PullOrder,
  what: { readonly digest: Digest; readonly report: IngestOrder["onProgress"] },
): Promise<ImageRecord> {
  const { registry, repository } = reference;
  const { digest, report } = what;
  return ingestImage(parts, {
    source: {
      name: `registry ${registry}`,
      origin: "registry",
      manifest: (entry, signal) =>
        parts.registry.manifest({ registry, repository, digest: entry.digest }, { abort: signal }),
      blob: (blob, signal) => parts.registry.blob(reference, blob, { abort: signal }),
    },
    root: await parts.registry.manifest({ registry, repository, digest }, { abort }),
    references: [formatReference(reference)],
    pin,
    abort,
    onProgress: report,
  });
}
