import type { FetchedManifest } from "../registry/registry-client.ts";
import type { BlobStore } from "./blob-store.ts";
import { chainIds, type Digest, digestOf } from "./digest.ts";
import type { DiskSpace, Reservation } from "./disk-space.ts";
import { type ParsedImageConfig, parseImageConfig } from "./image-config.ts";
import { ImageError } from "./image-error.ts";
import { DOCUMENT_BYTES_MAX, INDEX_DEPTH_MAX } from "./image-limits.ts";
import type { ImageRecord, ImageRecords } from "./image-records.ts";
import type { PullProgress } from "./image-store.ts";
import { type KeptIndex, lookForIndex } from "./kept-index.ts";
import type { LayerStore } from "./layer-store.ts";
import { type Descriptor, type ImageManifest, parseManifestDocument } from "./manifest-document.ts";
import { choosePlatform, isRunnable, type Platform } from "./platform.ts";
import { readBody } from "./read-body.ts";
import type { Unpacker } from "./unpacker.ts";
import { verified } from "./verified-stream.ts";

/** Where an image comes from: a registry's repository, a layout directory, an archive. */
export type ImageSource = {
  /** For errors: `registry localhost:5000`. */
  readonly name: string;
  readonly origin: "registry" | "local";
  manifest(descriptor: Descriptor, abort: AbortSignal): Promise<FetchedManifest>;
  /** The bytes as the source has them; they are verified here. */
  blob(
    blob: { readonly digest: Digest; readonly size: number },
    abort: AbortSignal,
  ): AsyncIterable<Buffer>;
};

export type IngestParts = {
  readonly space: DiskSpace;
  readonly blobs: BlobStore;
  readonly layers: LayerStore;
  readonly unpacker: Unpacker;
  readonly records: ImageRecords;
  readonly platform: Platform;
  readonly now: () => number;
};

export type IngestOrder = {
  readonly source: ImageSource;
  /** The manifest, or an index to choose from. */
  readonly root: FetchedManifest;
  /** Names that the image gets. */
  readonly references: readonly string[];
  /** Protects content from collection until the image is recorded. */
  readonly pin: (digest: Digest) => void;
  readonly abort: AbortSignal;
  readonly onProgress: (progress: Omit<PullProgress, "reference">) => void;
};

type Chosen = {
  readonly fetched: FetchedManifest;
  readonly manifest: ImageManifest;
  /** From the root down to the one that lists the manifest. */
  readonly indexes: readonly FetchedManifest[];
};

/**
 * Brings one image into the store: chooses the platform's manifest, then configuration, layers, records, in an
 * order in which a crash leaves nothing that is taken for complete.
 */
export async function ingestImage(parts: IngestParts, order: IngestOrder): Promise<ImageRecord> {
  const { fetched, manifest, indexes } = await chooseManifest(parts.platform, order);
  order.pin(fetched.digest);
  order.pin(manifest.config.digest);
  const configBytes = await fetchConfig(parts.blobs, order, manifest.config);
  const config = parseImageConfig(configBytes);
  checkPlatform(config, parts.platform);
  const layers = pairLayers(manifest, config);
  for (const layer of layers) {
    order.pin(layer.digest);
    order.pin(layer.chainId);
  }
  const reservation = await reserveSpace(parts, layers);
  try {
    await bringLayers(parts.layers, { ...order, reservation }, layers);
  } finally {
    reservation.release();
  }
  await storeDocument(parts.blobs, manifest.config.digest, configBytes);
  await storeDocument(parts.blobs, fetched.digest, fetched.bytes);
  const index = await keepIndex(parts, order, indexes);
  const record = {
    digest: fetched.digest,
    configDigest: manifest.config.digest,
    config: config.config,
    os: config.os,
    architecture: config.architecture,
    ...(config.variant === undefined ? {} : { variant: config.variant }),
    origin: order.source.origin,
    layers: layers.map(({ digest, chainId }) => ({ digest, chainId })),
    sizeBytes: layers.reduce((sum, { size }) => sum + size, manifest.config.size),
    ...(config.createdAt === undefined ? {} : { createdAt: config.createdAt }),
    pulledAtMs: parts.now(),
    ...(index === undefined ? {} : { index }),
  };
  const names = { references: order.references, indexes: indexes.map(({ digest }) => digest) };
  parts.records.putImage(record, names);
  return record;
}

/** The index documents are stored where all that they name is here. */
async function keepIndex(
  { blobs, records }: IngestParts,
  { pin, root }: IngestOrder,
  indexes: readonly FetchedManifest[],
): Promise<KeptIndex | undefined> {
  if (indexes.length === 0) return records.byDigest(root.digest)?.index;
  const documents = new Map(indexes.map(({ digest, bytes }) => [digest, bytes] as const));
  for (const digest of documents.keys()) pin(digest);
  const index = await lookForIndex(root, { blobs, documents, pin });
  if (index.missing.length > 0) return index;
  for (const [digest, bytes] of documents) await storeDocument(blobs, digest, bytes);
  return index;
}

async function chooseManifest(platform: Platform, order: IngestOrder): Promise<Chosen> {
  const indexes: FetchedManifest[] = [];
  let fetched = order.root;
  let announced = order.root.contentType;
  for (let depth = 0; depth <= INDEX_DEPTH_MAX; depth += 1) {
    const document = parseManifestDocument(fetched.bytes, announced);
    if (document.kind === "manifest") return { fetched, manifest: document.manifest, indexes };
    indexes.push(fetched);
    const entry = choosePlatform(document.index.manifests, platform);
    fetched = await order.source.manifest(entry, order.abort);
    if (fetched.digest !== entry.digest || fetched.bytes.length !== entry.size) {
      throw contradiction(`${order.source.name} sent another manifest than its index lists`);
    }
    announced = entry.mediaType;
  }
  throw contradiction(`its indexes are nested deeper than ${INDEX_DEPTH_MAX}`);
}

async function fetchConfig(
  blobs: BlobStore,
  order: IngestOrder,
  { digest, size }: Descriptor,
): Promise<Buffer> {
  const stored = await blobs.readWhole(digest, DOCUMENT_BYTES_MAX);
  if (stored !== undefined) return stored;
  const name = `configuration ${digest} of ${order.source.name}`;
  const source = verified(order.source.blob({ digest, size }, order.abort), { digest, size, name });
  return readBody(source, DOCUMENT_BYTES_MAX, order.source.name);
}

function checkPlatform(config: ParsedImageConfig, platform: Platform): void {
  if (isRunnable(config, platform)) return;
  const name = [config.os, config.architecture, config.variant].filter(Boolean).join("/");
  throw new ImageError({
    because: `it is built for ${name}, this host runs ${platform.os}/${platform.architecture}`,
    fix: "use an image that is built for this machine's platform",
    kind: "stalled",
  });
}

type PairedLayer = {
  readonly digest: Digest;
  readonly size: number;
  readonly diffId: Digest;
  readonly chainId: Digest;
};

function pairLayers(manifest: ImageManifest, config: ParsedImageConfig): readonly PairedLayer[] {
  const { diffIds } = config;
  if (diffIds.length !== manifest.layers.length) {
    throw contradiction(
      `its manifest has ${manifest.layers.length} layers and its configuration ${diffIds.length}`,
    );
  }
  const chain = chainIds(diffIds);
  return manifest.layers.flatMap(({ digest, size }, index) => {
    const diffId = diffIds[index];
    const chainId = chain[index];
    return diffId === undefined || chainId === undefined ? [] : [{ digest, size, diffId, chainId }];
  });
}

/** What certainly is needed: each new layer is kept compressed and, at least as large, unpacked. */
function reserveSpace(
  { space, records }: IngestParts,
  layers: readonly PairedLayer[],
): Promise<Reservation> {
  return space.reserve(
    layers
      .filter(({ chainId }) => !records.hasLayer(chainId))
      .map(({ chainId, size }) => ({ key: chainId, bytes: 2 * size })),
  );
}

async function bringLayers(
  store: LayerStore,
  order: IngestOrder & { readonly reservation: Reservation },
  layers: readonly PairedLayer[],
): Promise<void> {
  const siblings = new AbortController();
  const abort = AbortSignal.any([order.abort, siblings.signal]);
  const started: Promise<string>[] = [];
  let below: Promise<readonly string[]> = Promise.resolve([]);
  // All of them first: what is left to do is known from the beginning.
  for (const { digest, size } of layers) {
    order.onProgress({ layer: digest, bytesDone: 0, bytesTotal: size, phase: "download" });
  }
  for (const layer of layers) {
    const lower = below;
    const made = store.ensure({
      ...layer,
      below: lower,
      open: (signal) => order.source.blob(layer, signal),
      abort,
      onProgress: ({ phase, bytesDone }) => {
        const isDone = phase === "done";
        order.reservation.remaining(layer.chainId, isDone ? 0 : 2 * (layer.size - bytesDone));
        order.onProgress({ layer: layer.digest, bytesDone, bytesTotal: layer.size, phase });
      },
    });
    started.push(made);
    below = Promise.all([lower, made]).then(([dirs, dir]) => [...dirs, dir]);
    below.catch(() => {});
  }
  try {
    await below;
  } catch (error) {
    siblings.abort();
    await Promise.allSettled(started);
    throw error;
  }
}

async function storeDocument(blobs: BlobStore, digest: Digest, bytes: Buffer): Promise<void> {
  if ((await blobs.size(digest)) === bytes.length) return;
  if (digestOf(bytes) !== digest) throw new Error(`bytes of ${digest} changed in memory`);
  await blobs.put(digest, only(bytes));
}

async function* only(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

function contradiction(because: string): ImageError {
  return new ImageError({
    because,
    fix: "the image contradicts itself: have it built and pushed again",
    kind: "stalled",
  });
}
