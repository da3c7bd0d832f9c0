import { peekCompression } from "./compression.ts";
import { EXPANSION_CHECKED_FROM_BYTES, EXPANSION_RATIO_MAX } from "./image-limits.ts";
import { onFailure, tracked } from "./stream-ends.ts";
import type { ArchiveOrder } from "./unpacker.ts";

/** What the helper has to know of a stream to decode it, and the stream. */
export type HelpedArchive = {
  readonly how: Pick<
    ArchiveOrder,
    "encoding" | "expansionCheckedFromBytes" | "expansionRatioMax" | "abort"
  >;
  readonly stream: AsyncGenerator<Buffer>;
};

/**
 * Runs `work`, which sends the archive to the helper: it decodes and hashes, this process passes bytes on. When this
 * settles the stream has been torn down. Rejects with the stream's own error before the helper's.
 */
export async function withHelper<T>(
  open: (abort: AbortSignal) => AsyncIterable<Buffer>,
  abort: AbortSignal,
  work: (archive: HelpedArchive) => Promise<T>,
): Promise<T> {
  const teardown = new AbortController();
  const signal = AbortSignal.any([abort, teardown.signal]);
  const sent = tracked(open(signal));
  const limits = {
    expansionCheckedFromBytes: EXPANSION_CHECKED_FROM_BYTES,
    expansionRatioMax: EXPANSION_RATIO_MAX,
  };
  try {
    const { compression, all } = await peekCompression(sent.stream);
    const how = { ...limits, encoding: compression, abort: signal };
    return await withOwnFailure(all, (stream) => work({ how, stream }));
  } catch (error) {
    abort.throwIfAborted();
    throw error;
  } finally {
    teardown.abort();
    await sent.stream.return(undefined);
    await sent.ended();
  }
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
