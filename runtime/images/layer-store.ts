import { randomUUID } from "node:crypto";
import { chmod, chown, lstat, mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore } from "./blob-store.ts";
import { decompressed } from "./decompress.ts";
import { type Digest, digestHex } from "./digest.ts";
import { syncDirectory } from "./durable-files.ts";
import { ImageError } from "./image-error.ts";
import { LAYER_BYTES_MAX, LAYER_ENTRIES_MAX, LAYERS_AT_ONCE } from "./image-limits.ts";
import type { ImageRecords } from "./image-records.ts";
import type { ImageMeters } from "./image-store.ts";
import { restoreImpliedDirectories } from "./implied-directories.ts";
import { LAYER_ID_BASE } from "./layer-ids.ts";
import { SharedJobs } from "./shared-jobs.ts";
import { Slots } from "./slots.ts";
import type { StoreLayout } from "./store-layout.ts";
import { onFailure, tracked } from "./stream-ends.ts";
import type { Unpacker, UnpackOutcome } from "./unpacker.ts";
import { StreamMeter, verified } from "./verified-stream.ts";

export type LayerProgress = {
  readonly phase: "download" | "unpack" | "done";
  readonly bytesDone: number;
};

export type LayerOrder = {
  readonly digest: Digest;
  readonly size: number;
  readonly diffId: Digest;
  readonly chainId: Digest;
  /** Directories of the layers below, lowest first, once they are there. */
  readonly below: Promise<readonly string[]>;
  /** Where the blob comes from when it is not stored yet. */
  readonly open: (abort: AbortSignal) => AsyncIterable<Buffer>;
  readonly abort: AbortSignal;
  readonly onProgress: (progress: LayerProgress) => void;
};

const PROGRESS_BYTES = 1024 * 1024;

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
    const outcome = await this.#unpack(order, destination);
    this.#meters.unpacked(performance.now() - startedMs);
    return outcome;
  }

  async #unpack(order: LayerOrder, destination: string): Promise<UnpackOutcome> {
    const name = `layer ${order.digest}`;
    await makeLayerRoot(destination);
    const meter = new StreamMeter();
    const teardown = new AbortController();
    const abort = AbortSignal.any([order.abort, teardown.signal]);
    const compressed = tracked(observed(await this.#compressed(order, name, abort), order));
    const plain = decompressed(compressed.stream, { name, bytesMax: LAYER_BYTES_MAX, abort });
    let streamFailure: unknown;
    const tar = onFailure(meter.pass(plain), (error) => {
      streamFailure = error;
    });
    try {
      const outcome = await this.#unpacker.unpack(
        {
          destination,
          idBase: LAYER_ID_BASE,
          bytesMax: LAYER_BYTES_MAX,
          entriesMax: LAYER_ENTRIES_MAX,
          abort,
        },
        tar,
      );
      checkDiffId(name, order.diffId, meter.finish());
      return outcome;
    } catch (error) {
      order.abort.throwIfAborted();
      throw streamFailure ?? notUnpackable(name, error);
    } finally {
      teardown.abort();
      await tar.return(undefined);
      await compressed.ended();
    }
  }

  async #compressed(
    order: LayerOrder,
    name: string,
    abort: AbortSignal,
  ): Promise<AsyncIterable<Buffer>> {
    const { digest, size } = order;
    if ((await this.#blobs.size(digest)) !== undefined) return this.#blobs.read(digest, size);
    return this.#blobs.keep(verified(order.open(abort), { digest, size, name }), digest);
  }

  async #place(chainId: Digest, temporary: string): Promise<void> {
    const path = this.path(chainId);
    // Left by a crash between the rename and the record, in this very process's lifetime impossible.
    if (await exists(path)) await this.#unpacker.removeTree(path);
    await rename(temporary, path);
    await syncDirectory(this.#layout.layers);
  }
}

/** Until the archive says otherwise the layer's root belongs to the image's root and is open to its users. */
async function makeLayerRoot(path: string): Promise<void> {
  await mkdir(path, { mode: 0o755 });
  await chmod(path, 0o755);
  await chown(path, LAYER_ID_BASE, LAYER_ID_BASE);
}

async function* observed(source: AsyncIterable<Buffer>, order: LayerOrder): AsyncGenerator<Buffer> {
  let bytesDone = 0;
  let told = -PROGRESS_BYTES;
  for await (const chunk of source) {
    bytesDone += chunk.length;
    if (bytesDone - told >= PROGRESS_BYTES) {
      told = bytesDone;
      order.onProgress({ phase: "download", bytesDone });
    }
    yield chunk;
  }
  order.onProgress({ phase: "unpack", bytesDone });
}

function checkDiffId(name: string, expected: Digest, actual: Digest): void {
  if (expected === actual) return;
  throw new ImageError({
    because: `${name} unpacks to the DiffID ${actual}, its image says ${expected}`,
    fix: "the image contradicts itself: have it built and pushed again",
    kind: "stalled",
  });
}

function notUnpackable(name: string, cause: unknown): unknown {
  if (cause instanceof ImageError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new ImageError({
    because: `${name} cannot be unpacked (${message})`,
    fix: "have the image built and pushed again, unless the cause is this host's",
    kind: "stalled",
    cause,
  });
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
