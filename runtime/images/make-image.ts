import type { BlobStore } from "./blob-store.ts";
import { compressed } from "./compression.ts";
import { type Digest, digestOf } from "./digest.ts";
import { applyChanges, type ConfigFields } from "./image-changes.ts";
import { DOCUMENT_BYTES_MAX } from "./image-limits.ts";
import { blobsOf, type ImageRecord } from "./image-records.ts";
import { type ImageSource, type IngestParts, ingestImage } from "./ingest-image.ts";
import type { LayerStore } from "./layer-store.ts";
import { type Descriptor, parseJson, parseManifestDocument } from "./manifest-document.ts";
import { layerType, OCI_CONFIG, OCI_LAYER_TAR, OCI_MANIFEST } from "./media-types.ts";

export type MakeOrder = {
  /** What the new layer lies on; undefined: nothing. */
  readonly base?: ImageRecord;
  /** Of the new layer: a tar archive, plain or compressed. */
  readonly layer: AsyncIterable<Buffer>;
  /** Fields that take the place of the base's, before the changes. */
  readonly config?: ConfigFields;
  /** Instructions as in a Dockerfile. */
  readonly changes: readonly string[];
  readonly createdBy: string;
  readonly author?: string;
  readonly message?: string;
  readonly references: readonly string[];
  readonly pin: (digest: Digest) => void;
  readonly abort: AbortSignal;
};

type Documents = {
  readonly layers: readonly Descriptor[];
  readonly config: Readonly<Record<string, unknown>>;
};

/** An image out of a base, or nothing, and one new layer. Changes are read before the layer is. */
export async function makeImage(parts: IngestParts, order: MakeOrder): Promise<ImageRecord> {
  const { blobs, platform, now } = parts;
  for (const digest of order.base === undefined ? [] : contentOf(order.base)) order.pin(digest);
  const base = await baseDocuments(blobs, order.base);
  const run = applyChanges({ ...fieldsOf(base.config.config), ...order.config }, order.changes);
  const { descriptor, diffId } = await adoptLayer(parts.layers, order);
  const created = new Date(now()).toISOString();
  const variant = platform.variants.find(Boolean);
  const { author, message } = order;
  // What others wrote into a base stays, but for what spoke of the container that it was made from.
  const { container: _, container_config: __, id: ___, parent: ____, ...kept } = base.config;
  const config = json({
    architecture: platform.architecture,
    os: platform.os,
    ...(variant === undefined || platform.architecture === "amd64" ? {} : { variant }),
    ...kept,
    created,
    ...(author === undefined ? {} : { author }),
    config: run,
    rootfs: { type: "layers", diff_ids: [...diffIdsOf(base.config), diffId] },
    history: [
      ...listOf(base.config.history),
      {
        created,
        created_by: order.createdBy,
        ...(author === undefined ? {} : { author }),
        ...(message === undefined ? {} : { comment: message }),
      },
    ],
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: digestOf(config), size: config.length },
    layers: [...base.layers, descriptor],
  });
  return ingestImage(parts, {
    source: localSource(new Map([[digestOf(config), config]])),
    root: { bytes: manifest, digest: digestOf(manifest), contentType: OCI_MANIFEST },
    references: order.references,
    pin: order.pin,
    abort: order.abort,
    onProgress: () => {},
  });
}

/** Plain layers are compressed on the way. */
async function adoptLayer(
  layers: LayerStore,
  { base, layer, pin, abort }: MakeOrder,
): Promise<{ readonly descriptor: Descriptor; readonly diffId: Digest }> {
  const { digest, size, diffId, compression } = await layers.adopt({
    name: "the archive",
    base: base?.layers.map(({ chainId }) => chainId) ?? [],
    open: (signal) => compressed(layer, signal),
    pin,
    abort,
  });
  return { descriptor: { mediaType: layerType(compression), digest, size }, diffId };
}

async function baseDocuments(blobs: BlobStore, base: ImageRecord | undefined): Promise<Documents> {
  if (base === undefined) return { layers: [], config: {} };
  const [manifestBytes, configBytes] = await Promise.all(
    [base.digest, base.configDigest].map((digest) => blobs.readWhole(digest, DOCUMENT_BYTES_MAX)),
  );
  if (manifestBytes === undefined || configBytes === undefined)
    throw new Error(`the documents of ${base.digest} are gone`);
  const document = parseManifestDocument(manifestBytes);
  if (document.kind !== "manifest") throw new Error(`${base.digest} is not an image`);
  return {
    layers: document.manifest.layers.map(({ digest, size, mediaType }) => ({
      mediaType: ociType(mediaType),
      digest,
      size,
    })),
    config: fieldsOf(parseJson(configBytes, "the image configuration")),
  };
}

function contentOf(image: ImageRecord): readonly Digest[] {
  return [...blobsOf(image), ...image.layers.map(({ chainId }) => chainId)];
}

/** Docker's types have a twin each; a manifest holds one family of them. */
function ociType(mediaType: string): string {
  const compression = /[.+](gzip|zstd)$/.exec(mediaType)?.[1];
  return compression === undefined ? OCI_LAYER_TAR : `${OCI_LAYER_TAR}+${compression}`;
}

function localSource(blobs: ReadonlyMap<Digest, Buffer>): ImageSource {
  return {
    name: "what was made here",
    origin: "local",
    manifest: ({ digest }) => Promise.reject(new Error(`there is no manifest ${digest}`)),
    // Layers are in the store by now and are looked for there first.
    blob: async function* ({ digest }) {
      const bytes = blobs.get(digest);
      if (bytes === undefined) throw new Error(`there is no blob ${digest}`);
      yield bytes;
    },
  };
}

function diffIdsOf(config: Documents["config"]): readonly unknown[] {
  return listOf(fieldsOf(config.rootfs).diff_ids);
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
