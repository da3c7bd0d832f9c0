import { chmod, chown, mkdir } from "node:fs/promises";
import type { BlobStore } from "./blob-store.ts";
import type { Compression } from "./compression.ts";
import type { Digest } from "./digest.ts";
import { withHelper } from "./helped-archive.ts";
import { ImageError, isHostFailure } from "./image-error.ts";
import { LAYER_BYTES_MAX, LAYER_ENTRIES_MAX } from "./image-limits.ts";
import { LAYER_ID_BASE } from "./layer-ids.ts";
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

/** A layer that nobody has named yet. */
export type NewLayerOrder = {
  /** For errors: `the archive`. */
  readonly name: string;
  /** Its archive, which is kept as it comes. */
  readonly open: (abort: AbortSignal) => AsyncIterable<Buffer>;
  /** Called with the digest before the blob gets its name. */
  readonly pin: (digest: Digest) => void;
  readonly abort: AbortSignal;
};

type UnpackParts = { readonly blobs: BlobStore; readonly unpacker: Unpacker };

const PROGRESS_BYTES = 1024 * 1024;

/**
 * Brings one layer into a new directory, and its blob into the store when it is not there. Digest and DiffID are checked
 * over the same stream; what is in the directory counts for nothing unless this resolves.
 */
export async function unpackLayer(
  { blobs, unpacker }: UnpackParts,
  order: LayerOrder,
  destination: string,
): Promise<UnpackOutcome> {
  const { digest, size } = order;
  const expected = { digest, size, name: `layer ${digest}` };
  await makeLayerRoot(destination);
  const isStored = (await blobs.size(digest)) !== undefined;
  const kept = isStored ? undefined : blobs.incomingPath();
  const open = (abort: AbortSignal): AsyncIterable<Buffer> =>
    observed(isStored ? blobs.readSized(expected) : sized(order.open(abort), expected), order);
  try {
    const outcome = await withHelper(open, order.abort, ({ how, stream }) =>
      unpacker.unpack(
        { ...unpackedTo(destination), ...how, endMayLack: true, ...keptAs(kept) },
        stream,
      ),
    );
    if (kept === undefined) await blobs.recheck(expected, outcome.sentDigest);
    else {
      checkDigest(expected, outcome.sentDigest);
      await blobs.place(kept, digest);
    }
    checkDiffId(expected.name, order.diffId, outcome.archiveDigest);
    return outcome;
  } catch (error) {
    order.abort.throwIfAborted();
    if (kept !== undefined && isMalformed(error)) await checkSource(order, expected);
    throw notUnpackable(expected.name, error);
  } finally {
    if (kept !== undefined) await blobs.discard(kept);
  }
}

/** The same for a layer whose digests are not known before: the outcome says them. */
export async function unpackNewLayer(
  { blobs, unpacker }: UnpackParts,
  { name, open, pin, abort }: NewLayerOrder,
  destination: string,
): Promise<UnpackOutcome & { readonly compression: Compression }> {
  await makeLayerRoot(destination);
  const kept = blobs.incomingPath();
  try {
    const made = await withHelper(open, abort, async ({ how, stream }) => {
      const to = { ...unpackedTo(destination), ...how, endMayLack: false, keepAs: kept };
      return { ...(await unpacker.unpack(to, stream)), compression: how.encoding };
    });
    pin(made.sentDigest);
    await blobs.place(kept, made.sentDigest);
    return made;
  } catch (error) {
    abort.throwIfAborted();
    throw notUnpackable(name, error);
  } finally {
    await blobs.discard(kept);
  }
}

function unpackedTo(destination: string) {
  const limits = { bytesMax: LAYER_BYTES_MAX, entriesMax: LAYER_ENTRIES_MAX };
  return { destination, idBase: LAYER_ID_BASE, ...limits };
}

function keptAs(path: string | undefined): Pick<UnpackOrder, "keepAs"> {
  return path === undefined ? {} : { keepAs: path };
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
  if (isHostFailure(cause)) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new ImageError({
    because: `${name} cannot be unpacked (${message})`,
    fix: "have the image built and pushed again, unless the cause is this host's",
    kind: "stalled",
    cause,
  });
}
