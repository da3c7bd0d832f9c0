import { readdir } from "node:fs/promises";
import type { DatabaseSync } from "node:sqlite";
import { RegistryClient } from "../registry/registry-client.ts";
import type { Log } from "../runtime.ts";
import { BlobStore } from "./blob-store.ts";
import { type CollectorParts, collectContent, emptyIncoming } from "./collect-content.ts";
import { ContentPins } from "./content-pins.ts";
import { digestHex, isDigest } from "./digest.ts";
import { ImageError, imageFailure, printable } from "./image-error.ts";
import { type ImageRecord, ImageRecords } from "./image-records.ts";
import type { Image, ImageStore, PullProgress } from "./image-store.ts";
import type { IngestParts } from "./ingest-image.ts";
import { LayerStore } from "./layer-store.ts";
import { loadImages } from "./load-image.ts";
import { hostPlatform } from "./platform.ts";
import { pullImage } from "./pull-image.ts";
import { formatReference, parseReference } from "./reference.ts";
import { SharedJobs } from "./shared-jobs.ts";
import { makeStoreLayout, type StoreLayout } from "./store-layout.ts";
import type { Unpacker } from "./unpacker.ts";

export type ImageStoreOptions = {
  /** Durable directory; the store lies in `images` below it. */
  readonly libDir: string;
  /** `lib/state.db`; the tables are made here and begin with `runtime_image`. */
  readonly state: DatabaseSync;
  readonly log: Log;
  /** Registries (`host[:port]`) that may be spoken to over plain HTTP besides loopback ones. */
  readonly insecureRegistries: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly unpacker: Unpacker;
};

/** Opens the store and removes what an interrupted pull, load or removal left behind. */
export async function openImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const { state, log, now, unpacker } = options;
  const layout = await makeStoreLayout(options.libDir);
  const records = new ImageRecords(state);
  const leftovers = await emptyIncoming(layout, unpacker, log);
  await forgetBrokenImages(layout, records, log);
  const pins = new ContentPins();
  const bytes = await collectContent({ layout, records, pins, unpacker, log });
  if (leftovers > 0 || bytes > 0) log.info("image store tidied", { leftovers, bytes });
  const blobs = new BlobStore(layout);
  const layers = new LayerStore({ layout, blobs, records, unpacker });
  const registry = new RegistryClient(options);
  const platform = hostPlatform();
  return new StoredImages({
    layout,
    blobs,
    layers,
    records,
    platform,
    now,
    pins,
    unpacker,
    log,
    registry,
  });
}

type Parts = IngestParts & CollectorParts & { readonly registry: RegistryClient };

class StoredImages implements ImageStore {
  readonly #parts: Parts;
  readonly #pulls = new SharedJobs<ImageRecord, PullProgress>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  find(reference: string): Image | undefined {
    const record = this.#find(reference);
    return record === undefined ? undefined : this.#image(record);
  }

  list(): readonly Image[] {
    return this.#parts.records.images().map((record) => this.#image(record));
  }

  async resolve(text: string, abort: AbortSignal): Promise<string> {
    return this.#attempt(`resolve ${printable(text, 200)}`, abort, () =>
      this.#parts.registry.resolve(parseReference(text), abort),
    );
  }

  async pull(
    text: string,
    options: { abort: AbortSignal; onProgress?: (progress: PullProgress) => void },
  ): Promise<Image> {
    return this.#attempt(`pull ${printable(text, 200)}`, options.abort, async () => {
      const reference = parseReference(text);
      const record = await this.#pulls.run(formatReference(reference), options, (abort, report) =>
        this.#parts.pins.during((pin) =>
          pullImage(this.#parts, { reference, pin, abort, onProgress: report }),
        ),
      );
      return this.#image(record);
    });
  }

  async load(
    path: string,
    options: { reference?: string; abort: AbortSignal },
  ): Promise<readonly Image[]> {
    return this.#attempt(`load ${printable(path, 200)}`, options.abort, async () => {
      try {
        const records = await this.#parts.pins.during((pin) =>
          loadImages(this.#parts, { ...options, path, pin }),
        );
        return records.map((record) => this.#image(record));
      } finally {
        // An archive also holds what no image here needs, such as other platforms.
        await collectContent(this.#parts);
      }
    });
  }

  tag(digestOrReference: string, reference: string): void {
    const record = this.#find(digestOrReference);
    const named = parseReference(reference);
    if (record === undefined) throw noSuchImage(`tag ${digestOrReference}`);
    if (named.digest !== undefined) {
      throw new ImageError(
        {
          because: "a name with a digest is not a tag",
          fix: "write [registry/]name[:tag]",
          kind: "stalled",
        },
        `tag ${digestOrReference} as ${reference}`,
      );
    }
    this.#parts.records.setReference(formatReference(named), record.digest);
  }

  async remove(reference: string, inUse: ReadonlySet<string>): Promise<void> {
    const { records } = this.#parts;
    const record = this.#find(reference);
    if (record === undefined) throw noSuchImage(`remove image ${printable(reference, 200)}`);
    const names = records.referencesOf(record.digest);
    const name = isDigest(reference) ? undefined : formatReference(parseReference(reference));
    if (name !== undefined && names.includes(name) && names.length > 1) {
      records.removeReference(name);
      return;
    }
    const digests = [record.digest, ...records.indexesOf(record.digest)];
    if (digests.some((digest) => inUse.has(digest))) {
      throw new ImageError(
        {
          because: "containers use it",
          fix: "remove the containers first",
          kind: "stalled",
        },
        `remove image ${printable(reference, 200)}`,
      );
    }
    records.removeImage(record.digest);
    await collectContent(this.#parts);
  }

  async collectGarbage(keep: ReadonlySet<string>): Promise<{ images: number; bytes: number }> {
    const { records } = this.#parts;
    const unwanted = records
      .images()
      .filter(({ digest }) => ![digest, ...records.indexesOf(digest)].some((d) => keep.has(d)))
      .filter(({ digest }) => !this.#parts.pins.has(digest));
    for (const { digest } of unwanted) records.removeImage(digest);
    return { images: unwanted.length, bytes: await collectContent(this.#parts) };
  }

  #find(text: string): ImageRecord | undefined {
    const { records } = this.#parts;
    if (isDigest(text)) return records.byDigest(text);
    try {
      const reference = parseReference(text);
      if (reference.digest !== undefined) return records.byDigest(reference.digest);
      return records.byReference(formatReference(reference));
    } catch (error) {
      // What is no reference names no image.
      if (error instanceof ImageError) return undefined;
      throw error;
    }
  }

  #image(record: ImageRecord): Image {
    const { configDigest: _, layers, ...facts } = record;
    return {
      ...facts,
      references: this.#parts.records.referencesOf(record.digest),
      layerDirs: layers.map(({ chainId }) => this.#parts.layers.path(chainId)),
      layerDigests: layers.map(({ digest }) => digest),
    };
  }

  async #attempt<T>(doing: string, abort: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw imageFailure(doing, error, { abort, directory: this.#parts.layout.root });
    }
  }
}

/** An image whose files somebody removed is forgotten, so that the next pull brings it again. */
async function forgetBrokenImages(
  layout: StoreLayout,
  records: ImageRecords,
  log: Log,
): Promise<void> {
  const blobs = new Set(await readdir(layout.blobs));
  const layers = new Set(await readdir(layout.layers));
  for (const chainId of records.layers()) {
    if (!layers.has(digestHex(chainId))) records.removeLayer(chainId);
  }
  for (const image of records.images()) {
    const isWhole =
      [image.digest, image.configDigest].every((digest) => blobs.has(digestHex(digest))) &&
      image.layers.every(({ chainId }) => records.hasLayer(chainId));
    if (isWhole) continue;
    log.warn("image forgotten because its files are gone", { image: image.digest });
    records.removeImage(image.digest);
  }
}

function noSuchImage(doing: string): ImageError {
  return new ImageError(
    { because: "there is no such image here", fix: "berth images lists them", kind: "stalled" },
    doing,
  );
}
