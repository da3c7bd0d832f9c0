import { chmod, chown, mkdir } from "node:fs/promises";
import type { BlobStore } from "./blob-store.ts";
import { type Compression, peekCompression } from "./decompress.ts";
import type { Digest } from "./digest.ts";
import { fullDiskCode, ImageError } from "./image-error.ts";
import {
  EXPANSION_CHECKED_FROM_BYTES,
  EXPANSION_RATIO_MAX,
  LAYER_BYTES_MAX,
  LAYER_ENTRIES_MAX,
} from "./image-limits.ts";
import { LAYER_ID_BASE } from "./layer-ids.ts";
import { onFailure, tracked } from "./stream-ends.ts";
import type { Unpacker, UnpackOrder, UnpackOutcome } from "./unpacker.ts";
import { checkDigest, type ExpectedContent, sized, verified } from "./verified-stream.ts";

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

/** A layer on its way: what it is to be, where from, how far others may use it. */
type Passage = {
  readonly order: LayerOrder;
  readonly expected: ExpectedContent;
  readonly isStored: boolean;
  readonly to: Pick<UnpackOrder, "destination" | "idBase" | "bytesMax" | "entriesMax" | "abort">;
};

const PROGRESS_BYTES = 1024 * 1024;

/**
 * Brings one layer into a new directory, and its blob into the store when it is not there. Digest and DiffID are checked
 * over the same stream; what is in the directory counts for nothing unless this resolves.
 */
export async function unpackLayer(
  parts: { readonly blobs: BlobStore; readonly unpacker: Unpacker },
  order: LayerOrder,
  destination: string,
): Promise<UnpackOutcome> {
  const { digest, size } = order;
  const expected = { digest, size, name: `layer ${digest}` };
  await makeLayerRoot(destination);
  const teardown = new AbortController();
  const abort = AbortSignal.any([order.abort, teardown.signal]);
  const isStored = (await parts.blobs.size(digest)) !== undefined;
  const source = isStored ? parts.blobs.readSized(expected) : sized(order.open(abort), expected);
  const sent = tracked(observed(source, order));
  const limits = { bytesMax: LAYER_BYTES_MAX, entriesMax: LAYER_ENTRIES_MAX };
  const to = { destination, idBase: LAYER_ID_BASE, ...limits, abort };
  try {
    const { compression, all } = await peekCompression(sent.stream);
    const passage = { order, expected, isStored, to };
    const outcome = await sendLayer(parts, passage, { encoding: compression, all });
    checkDiffId(expected.name, order.diffId, outcome.archiveDigest);
    return outcome;
  } catch (error) {
    order.abort.throwIfAborted();
    throw notUnpackable(expected.name, error);
  } finally {
    teardown.abort();
    await sent.stream.return(undefined);
    await sent.ended();
  }
}

/** The helper hashes and keeps the blob, decodes it, and hashes the archive: this process passes bytes on. */
async function sendLayer(
  { blobs, unpacker }: { readonly blobs: BlobStore; readonly unpacker: Unpacker },
  { order, expected, isStored, to }: Passage,
  stream: { readonly encoding: Compression; readonly all: AsyncGenerator<Buffer> },
): Promise<UnpackOutcome> {
  const kept = isStored ? undefined : blobs.incomingPath();
  try {
    const outcome = await withOwnFailure(stream.all, (all) =>
      unpacker.unpack(
        {
          ...to,
          encoding: stream.encoding,
          expansionCheckedFromBytes: EXPANSION_CHECKED_FROM_BYTES,
          expansionRatioMax: EXPANSION_RATIO_MAX,
          ...(kept === undefined ? {} : { keepAs: kept }),
        },
        all,
      ),
    );
    if (kept === undefined) await blobs.recheck(expected, outcome.sentDigest);
    else checkDigest(expected, outcome.sentDigest);
    if (kept !== undefined) await blobs.place(kept, order.digest);
    return outcome;
  } catch (error) {
    if (kept !== undefined && isMalformed(error)) await checkSource(order, expected);
    throw error;
  } finally {
    if (kept !== undefined) await blobs.discard(kept);
  }
}

/** The archive, or its encoding, is not what such a thing looks like. */
function isMalformed(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "EBADMSG" || code === "EILSEQ";
}

/**
 * Whoever sends other bytes than the digest says is told so, and not that the image is malformed. The helper stopped at the
 * first wrong byte, so they are asked for once more.
 */
async function checkSource({ open, abort }: LayerOrder, expected: ExpectedContent): Promise<void> {
  for await (const _ of verified(open(abort), expected));
}

/** Whoever consumes a stream that fails reports only that it ended: the stream's own error says why. */
async function withOwnFailure<T>(
  stream: AsyncGenerator<Buffer>,
  work: (guarded: AsyncGenerator<Buffer>) => Promise<T>,
): Promise<T> {
  let streamFailure: unknown;
  const guarded = onFailure(stream, (error) => {
    streamFailure = error;
  });
  try {
    return await work(guarded);
  } catch (error) {
    throw streamFailure ?? error;
  } finally {
    await guarded.return(undefined);
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
  // Says nothing about the layer.
  if (fullDiskCode(cause) !== undefined) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new ImageError({
    because: `${name} cannot be unpacked (${message})`,
    fix: "have the image built and pushed again, unless the cause is this host's",
    kind: "stalled",
    cause,
  });
}
