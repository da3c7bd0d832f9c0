import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { FetchedManifest } from "../registry/registry-client.ts";
import { type Digest, digestHex, digestOf } from "./digest.ts";
import { readDockerArchive } from "./docker-archive.ts";
import { ImageError } from "./image-error.ts";
import { DOCUMENT_BYTES_MAX } from "./image-limits.ts";
import type { ImageRecord } from "./image-records.ts";
import { type ImageSource, type IngestParts, ingestImage } from "./ingest-image.ts";
import { OCI_MANIFEST } from "./media-types.ts";
import { readOciLayout } from "./oci-layout.ts";
import { readBody } from "./read-body.ts";
import { formatReference, parseReference } from "./reference.ts";
import { noSuchFile, regularFile } from "./regular-file.ts";
import { takeArchive } from "./take-archive.ts";

export type LoadOrder = {
  readonly path: string;
  readonly reference?: string;
  readonly pin: (digest: Digest) => void;
  readonly abort: AbortSignal;
};

/** One image that a local form holds: its root manifest or index, and its names. */
export type LoadableImage = {
  readonly root: FetchedManifest;
  readonly references: readonly string[];
};

/** Loads every image of an OCI layout directory, an oci-archive or a docker-archive that runs on this platform. */
export async function loadImages(
  parts: IngestParts,
  order: LoadOrder,
): Promise<readonly ImageRecord[]> {
  const file = await found(order.path);
  const { source, images } = file.isDirectory()
    ? await openDirectory(parts, order)
    : await openArchive(parts, { ...order, bytes: file.size });
  if (images.length === 0) {
    throw new ImageError({
      because: `it holds no image for ${parts.platform.os}/${parts.platform.architecture}`,
      fix: "export an image that is built for this machine's platform",
      kind: "stalled",
    });
  }
  const records: ImageRecord[] = [];
  for (const { root, references } of named(images, order.reference)) {
    const { pin, abort } = order;
    const ingest = { source, root, references, pin, abort, onProgress: () => {} };
    records.push(await ingestImage(parts, ingest));
  }
  return [...new Map(records.map((record) => [record.digest, record])).values()];
}

async function found(path: string): Promise<Stats> {
  return stat(path).catch((cause: unknown) => {
    throw noSuchFile(cause) ?? cause;
  });
}

function named(
  images: readonly LoadableImage[],
  reference: string | undefined,
): readonly LoadableImage[] {
  if (reference === undefined) return images;
  const [image] = images;
  const digests = new Set(images.map(({ root }) => root.digest));
  if (image === undefined || digests.size > 1) {
    throw new ImageError({
      because: `it holds ${digests.size} images, which cannot all be named ${reference}`,
      fix: "load it without a name and tag the images",
      kind: "stalled",
    });
  }
  return [{ root: image.root, references: [formatReference(parseReference(reference))] }];
}

async function openDirectory(
  parts: IngestParts,
  { path, abort }: LoadOrder,
): Promise<{ source: ImageSource; images: readonly LoadableImage[] }> {
  const blobPath = (digest: Digest): string => join(path, "blobs", "sha256", digestHex(digest));
  const source: ImageSource = {
    name: `the layout ${path}`,
    origin: "local",
    manifest: async ({ digest, mediaType }) => {
      const bytes = await readBody(regularFile(blobPath(digest), abort), DOCUMENT_BYTES_MAX, path);
      return { bytes, digest: digestOf(bytes), contentType: mediaType };
    },
    blob: ({ digest }, signal) => regularFile(blobPath(digest), signal),
  };
  const indexFile = regularFile(join(path, "index.json"), abort);
  const index = await readBody(indexFile, DOCUMENT_BYTES_MAX, "index.json");
  return { source, images: await readOciLayout(index, source, parts.platform, abort) };
}

async function openArchive(
  parts: IngestParts,
  order: LoadOrder & { readonly bytes: number },
): Promise<{ source: ImageSource; images: readonly LoadableImage[] }> {
  const reservation = await parts.space.reserve([{ key: order.path, bytes: order.bytes }]);
  const contents = await takeArchive(parts, order).finally(() => reservation.release());
  const source: ImageSource = {
    name: `the archive ${order.path}`,
    origin: "local",
    manifest: async ({ digest, mediaType }) => {
      const bytes = await parts.blobs.readWhole(digest, DOCUMENT_BYTES_MAX);
      if (bytes === undefined) throw missingBlob(digest);
      return { bytes, digest, contentType: mediaType };
    },
    // Everything that the archive has is in the store by now and is looked for there first.
    blob: ({ digest }) => new Readable({ read: failWith(missingBlob(digest)) }),
  };
  const index = contents.documents.get("index.json");
  if (index !== undefined && contents.documents.has("oci-layout")) {
    const images = await readOciLayout(index, source, parts.platform, order.abort);
    return { source, images };
  }
  const made = await readDockerArchive(contents, parts.blobs);
  const images = made.map(({ manifest, references }) => ({
    root: { bytes: manifest, digest: digestOf(manifest), contentType: OCI_MANIFEST },
    references,
  }));
  return { source, images };
}

function missingBlob(digest: Digest): ImageError {
  return new ImageError({
    because: `the archive lacks the blob ${digest}`,
    fix: "export the image again, with all that its platform needs",
    kind: "stalled",
  });
}

function failWith(error: ImageError): (this: Readable) => void {
  return function read() {
    this.destroy(error);
  };
}
