import { createRegistries, type Registries } from "../registry/registries.ts";
import { type CollectorParts, collectContent } from "./collect-content.ts";
import { collectImages } from "./collect-images.ts";
import { isDigest } from "./digest.ts";
import { describeImage } from "./image-details.ts";
import { ImageError, imageFailure, printable } from "./image-error.ts";
import { noSuchImage, tagReference } from "./image-names.ts";
import { blobsOf, type ImageRecord } from "./image-records.ts";
import { ownContent, sizesOf } from "./image-sizes.ts";
import type {
  CollectOptions,
  Image,
  ImageDetails,
  ImageRemoval,
  ImageStore,
  MadeImage,
  PullProgress,
} from "./image-store.ts";
import { loadImages } from "./load-image.ts";
import { type MakeOrder, makeImage } from "./make-image.ts";
import { type PullParts, pullImage } from "./pull-image.ts";
import { pushStored } from "./push-image.ts";
import { formatReference, parseReference } from "./reference.ts";
import { regularFile } from "./regular-file.ts";
import { type ArchiveFormat, type SavedImage, saveArchive, saveLayout } from "./save-image.ts";
import { SharedJobs } from "./shared-jobs.ts";

/** How often it is written down that an image is in use. */
const USE_NOTED_EVERY_MS = 3_600_000;

export type StoreParts = PullParts & CollectorParts;

/** The images of one store. Opened by `openImageStore`. */
export class StoredImages implements ImageStore {
  readonly registries: Registries;
  readonly #parts: StoreParts;
  readonly #pulls = new SharedJobs<ImageRecord, PullProgress>();

  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.registries = createRegistries(parts.registry);
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
      this.#parts.registry.resolve(parseReference(text), { abort }),
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

  importRoot(path: string, options: MadeImage): Promise<Image> {
    return this.#make(`import ${printable(path, 200)}`, options, {
      layer: regularFile(path, options.abort),
      createdBy: "berth import",
    });
  }

  commit(base: string, options: Parameters<ImageStore["commit"]>[1]): Promise<Image> {
    const doing = "commit the container";
    const record = this.#find(base);
    if (record === undefined) return Promise.reject(noSuchImage(doing));
    return this.#make(doing, options, { ...options, base: record });
  }

  async *save(
    names: readonly string[],
    options: { readonly format: ArchiveFormat; readonly abort: AbortSignal },
  ): AsyncGenerator<Uint8Array> {
    const doing = `save ${printable(names.join(" "), 200)}`;
    const images = this.#chosen(names, doing);
    const { pins, blobs, layout } = this.#parts;
    const unpin = pins.hold(images.map(({ record }) => record).flatMap(blobsOf));
    try {
      for await (const chunk of saveArchive(blobs, images, options.format)) {
        options.abort.throwIfAborted();
        yield chunk;
      }
    } catch (error) {
      throw imageFailure(doing, error, { abort: options.abort, directory: layout.root });
    } finally {
      unpin();
    }
  }

  saveLayout(
    names: readonly string[],
    options: { readonly path: string; readonly abort: AbortSignal },
  ): Promise<void> {
    const doing = `save ${printable(names.join(" "), 200)}`;
    return this.#attempt(doing, options.abort, async () => {
      const images = this.#chosen(names, doing);
      const { pins, blobs, unpacker } = this.#parts;
      const unpin = pins.hold(images.map(({ record }) => record).flatMap(blobsOf));
      const remove = (path: string) => unpacker.removeTree(path);
      await saveLayout(blobs, images, { ...options, remove }).finally(unpin);
    });
  }

  push: ImageStore["push"] = (name, target, options) =>
    pushStored(this.#parts, { ...options, name, target, record: this.#find(name) });

  tag(digestOrReference: string, reference: string): void {
    const record = this.#find(digestOrReference);
    if (record === undefined) throw noSuchImage(`tag ${digestOrReference}`);
    this.#parts.records.setReference(tagReference(reference), record.digest);
  }

  async describe(digestOrReference: string): Promise<ImageDetails | undefined> {
    const record = this.#find(digestOrReference);
    if (record === undefined) return undefined;
    return this.#attempt(`describe ${printable(digestOrReference, 200)}`, undefined, () =>
      describeImage(this.#parts, record, this.#image(record)),
    );
  }

  touch(digests: Iterable<string>): void {
    const { records, now } = this.#parts;
    const nowMs = now();
    for (const digest of digests) {
      const record = isDigest(digest) ? records.byDigest(digest) : undefined;
      if (record === undefined || nowMs - records.usedAtMs(record) < USE_NOTED_EVERY_MS) continue;
      records.setUsed(record.digest, nowMs);
    }
  }

  disk(): Promise<{ readonly totalBytes: number; readonly freeBytes: number }> {
    return this.#parts.space.measure();
  }

  async remove(reference: string, inUse: ReadonlySet<string>): Promise<ImageRemoval> {
    const { records } = this.#parts;
    const record = this.#find(reference);
    if (record === undefined) throw noSuchImage(`remove image ${printable(reference, 200)}`);
    const { digest } = record;
    const names = records.referencesOf(digest);
    const name = isDigest(reference) ? undefined : formatReference(parseReference(reference));
    if (name !== undefined && names.includes(name) && names.length > 1) {
      records.removeReference(name);
      return { digest, references: [name], isRemoved: false, bytes: 0 };
    }
    if (name !== undefined && !names.includes(name) && names.length > 0) {
      throw new ImageError(
        {
          because: `it is here under other names only (${printable(names.join(", "), 200)})`,
          fix: "remove those, or the image by its digest",
          kind: "stalled",
        },
        `remove image ${printable(reference, 200)}`,
      );
    }
    const own = await sizesOf(this.#parts, ownContent(records, new Set([digest])));
    const digests = [digest, ...records.indexesOf(digest)];
    if (digests.some((one) => inUse.has(one))) {
      throw new ImageError(
        {
          because: "containers use it",
          fix: "remove the containers first",
          kind: "stalled",
        },
        `remove image ${printable(reference, 200)}`,
      );
    }
    records.removeImage(digest);
    await collectContent(this.#parts);
    const bytes = [...own.values()].reduce((sum, size) => sum + size, 0);
    return { digest, references: names, isRemoved: true, bytes };
  }

  collectGarbage(
    needed: () => ReadonlySet<string>,
    options: CollectOptions = {},
  ): Promise<{ readonly images: readonly ImageRemoval[]; readonly bytes: number }> {
    return collectImages(this.#parts, needed, options);
  }

  #make(
    doing: string,
    { reference, changes, message, abort }: MadeImage,
    more: Pick<MakeOrder, "layer" | "createdBy" | "base" | "config" | "author">,
  ): Promise<Image> {
    return this.#attempt(doing, abort, async () => {
      const references = reference === undefined ? [] : [tagReference(reference)];
      const record = await this.#parts.pins.during((pin) => {
        const order = { ...more, references, changes, pin, abort };
        return makeImage(this.#parts, message === undefined ? order : { ...order, message });
      });
      return this.#image(record);
    });
  }

  /** Each image once, with the names that it was asked for by. */
  #chosen(names: readonly string[], doing: string): readonly SavedImage[] {
    const images = new Map<string, { record: ImageRecord; references: string[] }>();
    for (const name of names) {
      const record = this.#find(name);
      if (record === undefined) throw noSuchImage(doing);
      const chosen = images.get(record.digest) ?? { record, references: [] };
      images.set(record.digest, chosen);
      const full = isDigest(name) ? undefined : formatReference(parseReference(name));
      if (full !== undefined && !chosen.references.includes(full)) chosen.references.push(full);
    }
    return [...images.values()];
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
    const { configDigest: _, index: __, layers, ...facts } = record;
    return {
      ...facts,
      references: this.#parts.records.referencesOf(record.digest),
      layerDirs: layers.map(({ chainId }) => this.#parts.layers.path(chainId)),
      layerDigests: layers.map(({ digest }) => digest),
    };
  }

  async #attempt<T>(
    doing: string,
    abort: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { root } = this.#parts.layout;
      const given = abort === undefined ? {} : { abort };
      throw imageFailure(doing, error, { ...given, directory: root });
    }
  }
}
