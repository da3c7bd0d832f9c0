import { randomUUID } from "node:crypto";
import { lstat, rename } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore } from "./blob-store.ts";
import type { Compression } from "./compression.ts";
import { chainIdOver, type Digest, digestHex } from "./digest.ts";
import { syncDirectory } from "./durable-files.ts";
import { LAYERS_AT_ONCE } from "./image-limits.ts";
import type { ImageRecords } from "./image-records.ts";
import type { ImageMeters } from "./image-store.ts";
import { restoreImpliedDirectories } from "./implied-directories.ts";
import { SharedJobs } from "./shared-jobs.ts";
import { Slots } from "./slots.ts";
import type { StoreLayout } from "./store-layout.ts";
import {
  type LayerOrder,
  type LayerProgress,
  type NewLayerOrder,
  unpackLayer,
  unpackNewLayer,
} from "./unpack-layer.ts";
import type { Unpacker, UnpackOutcome } from "./unpacker.ts";

/** What a layer turned out to be; its blob is in the store. */
export type AdoptedLayer = {
  readonly digest: Digest;
  readonly size: number;
  readonly diffId: Digest;
  readonly compression: Compression;
};

/** Unpacked layers by ChainID. A directory with a record is complete, verified and durable. */
export class LayerStore {
  readonly #layout: StoreLayout;
  readonly #blobs: BlobStore;
  readonly #records: ImageRecords;
  readonly #unpacker: Unpacker;
  readonly #meters: ImageMeters;
  readonly #jobs = new SharedJobs<string, LayerProgress>();
  readonly #slots = new Slots(LAYERS_AT_ONCE);

  constructor(parts: {
    layout: StoreLayout;
    blobs: BlobStore;
    records: ImageRecords;
    unpacker: Unpacker;
    meters: ImageMeters;
  }) {
    this.#layout = parts.layout;
    this.#blobs = parts.blobs;
    this.#records = parts.records;
    this.#unpacker = parts.unpacker;
    this.#meters = parts.meters;
  }

  path(chainId: Digest): string {
    return join(this.#layout.layers, digestHex(chainId));
  }

  /** The layer's directory; unpacks it when it is not there. Callers that want the same layer share the work. */
  async ensure(order: LayerOrder): Promise<string> {
    if (this.#records.hasLayer(order.chainId)) {
      this.#meters.layer("hit");
      order.onProgress({ phase: "done", bytesDone: order.size });
      return this.path(order.chainId);
    }
    return this.#jobs.run(order.chainId, order, (abort, report) =>
      this.#make({ ...order, abort, onProgress: report }),
    );
  }

  /**
   * Unpacks a layer whose digests nobody knows before, and stores its blob. `base`: ChainIDs of the layers that it lies on,
   * lowest first, which are here and pinned.
   */
  async adopt(order: NewLayerOrder & { readonly base: readonly Digest[] }): Promise<AdoptedLayer> {
    const temporary = this.#temporary();
    try {
      const made = await this.#slots.use(order.abort, () =>
        this.#timed((parts) => unpackNewLayer(parts, order, temporary)),
      );
      const chainId = chainIdOver(order.base.at(-1), made.archiveDigest);
      order.pin(chainId);
      const below = order.base.map((id) => this.path(id));
      if (!this.#records.hasLayer(chainId)) {
        await this.#jobs.run(chainId, order, () =>
          this.#finish(chainId, { temporary, outcome: made, below }),
        );
      }
      const { sentDigest: digest, sentBytes: size, archiveDigest: diffId, compression } = made;
      return { digest, size, diffId, compression };
    } finally {
      // Gone already where it was finished, and not where another had the same layer.
      await this.#unpacker.removeTree(temporary);
    }
  }

  async #make(order: LayerOrder): Promise<string> {
    const temporary = this.#temporary();
    try {
      // The slot is given up before the wait for the layers below, which may still need one.
      const outcome = await this.#slots.use(order.abort, () =>
        this.#timed((parts) => unpackLayer(parts, order, temporary)),
      );
      const below = await order.below;
      order.abort.throwIfAborted();
      const path = await this.#finish(order.chainId, { temporary, outcome, below });
      order.onProgress({ phase: "done", bytesDone: order.size });
      return path;
    } catch (error) {
      await this.#unpacker.removeTree(temporary);
      throw error;
    }
  }

  /** What was unpacked gets its name and its record. */
  async #finish(
    chainId: Digest,
    layer: {
      readonly temporary: string;
      readonly outcome: UnpackOutcome;
      readonly below: readonly string[];
    },
  ): Promise<string> {
    const { temporary, outcome, below } = layer;
    const made = { directory: temporary, implied: outcome.impliedDirectories };
    await restoreImpliedDirectories(this.#unpacker, made, below);
    await this.#place(chainId, temporary);
    this.#records.addLayer(chainId, outcome.contentBytes);
    this.#meters.layer("unpacked");
    return this.path(chainId);
  }

  async #timed<T>(
    unpack: (parts: { blobs: BlobStore; unpacker: Unpacker }) => Promise<T>,
  ): Promise<T> {
    const startedMs = performance.now();
    const outcome = await unpack({ blobs: this.#blobs, unpacker: this.#unpacker });
    this.#meters.unpacked(performance.now() - startedMs);
    return outcome;
  }

  #temporary(): string {
    return join(this.#layout.incoming, `layer-${randomUUID()}`);
  }

  async #place(chainId: Digest, temporary: string): Promise<void> {
    const path = this.path(chainId);
    // Left by a crash between the rename and the record, in this very process's lifetime impossible.
    if (await exists(path)) await this.#unpacker.removeTree(path);
    await rename(temporary, path);
    await syncDirectory(this.#layout.layers);
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
