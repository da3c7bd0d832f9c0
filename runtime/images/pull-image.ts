import type { RateWait } from "../registry/rate-limits.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import type { ImageTrust } from "../trust/image-trust.ts";
import type { Digest } from "./digest.ts";
import { ImageError } from "./image-error.ts";
import type { ImageRecord } from "./image-records.ts";
import type { ImageMeters, PullProgress } from "./image-store.ts";
import { type IngestOrder, type IngestParts, ingestImage } from "./ingest-image.ts";
import { formatReference, type ImageReference } from "./reference.ts";

export type PullParts = IngestParts & {
  readonly registry: RegistryClient;
  readonly trust: ImageTrust;
  readonly meters: ImageMeters;
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
  const onWait = (waiting: RateWait): void =>
    report({ phase: "wait", bytesDone: 0, bytesTotal: 0, waiting });
  const digest = await parts.registry.resolve(reference, { abort, onWait });
  // Also for what is here already: it may have come by another name.
  await parts.trust.verify(parts.registry, reference, { digest, options: { abort, onWait } });
  const stored = parts.records.byDigest(digest);
  if (stored !== undefined) {
    parts.records.setReference(name, stored.digest);
    report({ phase: "done", bytesDone: stored.sizeBytes, bytesTotal: stored.sizeBytes });
    return stored;
  }
  const record = await fromMirrorsOrNot(parts.registry, order, () =>
    ingestFrom(parts, order, { digest, report, onWait }),
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
  what: {
    readonly digest: Digest;
    readonly report: IngestOrder["onProgress"];
    readonly onWait: (wait: RateWait) => void;
  },
): Promise<ImageRecord> {
  const { registry, repository } = reference;
  const { digest, report, onWait } = what;
  return ingestImage(parts, {
    source: {
      name: `registry ${registry}`,
      origin: "registry",
      manifest: (entry, signal) =>
        parts.registry.manifest(
          { registry, repository, digest: entry.digest },
          { abort: signal, onWait },
        ),
      blob: (blob, signal) =>
        counted(parts.registry.blob(reference, blob, { abort: signal, onWait }), parts.meters),
    },
    root: await parts.registry.manifest({ registry, repository, digest }, { abort, onWait }),
    references: [formatReference(reference)],
    pin,
    abort,
    onProgress: report,
  });
}

async function* counted(
  source: AsyncIterable<Buffer>,
  meters: ImageMeters,
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    meters.received(chunk.length);
    yield chunk;
  }
}
