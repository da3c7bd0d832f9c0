import { randomUUID } from "node:crypto";
import { lstat, rename } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore } from "./blob-store.ts";
import { type Digest, digestHex } from "./digest.ts";
import { syncDirectory } from "./durable-files.ts";
import { LAYERS_AT_ONCE } from "./image-limits.ts";
import type { ImageRecords } from "./image-records.ts";
import type { ImageMeters } from "./image-store.ts";
import { restoreImpliedDirectories } from "./implied-directories.ts";
import { SharedJobs } from "./shared-jobs.ts";
import { Slots } from "./slots.ts";
import type { StoreLayout } from "./store-layout.ts";
import { type LayerOrder, type LayerProgress, unpackLayer } from "./unpack-layer.ts";
import type { Unpacker, UnpackOutcome } from "./unpacker.ts";

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

  async #make(order: LayerOrder): Promise<string> {
    const temporary = join(this.#layout.incoming, `layer-${randomUUID()}`);
    try {
      // The slot is given up before the wait for the layers below, which may still need one.
      const outcome = await this.#slots.use(order.abort, () => this.#timed(order, temporary));
      const below = await order.below;
      order.abort.throwIfAborted();
      const layer = { directory: temporary, implied: outcome.impliedDirectories };
      await restoreImpliedDirectories(this.#unpacker, layer, below);
      await this.#place(order.chainId, temporary);
      this.#records.addLayer(order.chainId, outcome.contentBytes);
      this.#meters.layer("unpacked");
      order.onProgress({ phase: "done", bytesDone: order.size });
      return this.path(order.chainId);
    } catch (error) {
      await this.#unpacker.removeTree(temporary);
      throw error;
    }
  }

  async #timed(order: LayerOrder, destination: string): Promise<UnpackOutcome> {
    const startedMs = performance.now();
    const parts = { blobs: this.#blobs, unpacker: this.#unpacker };
    const outcome = await unpackLayer(parts, order, destination);
    this.#meters.unpacked(performance.now() - startedMs);
    return outcome;
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
