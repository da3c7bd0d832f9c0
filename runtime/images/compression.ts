import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { onFailure } from "./stream-ends.ts";

export type Compression = "none" | "gzip" | "zstd";

const MAGIC_BYTES = 4;
/** Fast, and small enough: what is made here seldom travels far. */
const GZIP_LEVEL = 4;

/** How a stream is compressed, from its first bytes (RFC 1952, RFC 8878; skippable zstd frames included). */
export function sniffCompression(head: Uint8Array): Compression {
  if (head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  if (head.length < MAGIC_BYTES) return "none";
  const magic = Buffer.from(head.buffer, head.byteOffset, MAGIC_BYTES).readUInt32LE();
  const isSkippable = (magic & 0xffff_fff0) >>> 0 === 0x184d_2a50;
  return magic === 0xfd2f_b528 || isSkippable ? "zstd" : "none";
}

/** How a stream is compressed, and the stream itself, from its first byte on. */
export async function peekCompression(
  source: AsyncIterable<Buffer>,
): Promise<{ readonly compression: Compression; readonly all: AsyncGenerator<Buffer> }> {
  const { head, all } = await peek(source, MAGIC_BYTES);
  return { compression: sniffCompression(head), all };
}

/** The stream as it is where it is gzip or zstd, else gzip of it, which Node's threads make. */
export async function* compressed(
  source: AsyncIterable<Buffer>,
  abort: AbortSignal,
): AsyncGenerator<Buffer> {
  const { compression, all } = await peekCompression(source);
  if (compression !== "none") {
    yield* all;
    return;
  }
  let sourceFailure: unknown;
  const guarded = onFailure(all, (error) => {
    sourceFailure = error;
  });
  const gzip = createGzip({ level: GZIP_LEVEL, chunkSize: 1 << 18 });
  const fed = pipeline(Readable.from(guarded), gzip, { signal: abort });
  // Awaited below on each path; this keeps an early failure from counting as unhandled.
  fed.catch(() => {});
  try {
    for await (const chunk of gzip) yield chunk;
    await fed;
  } catch (error) {
    throw sourceFailure ?? error;
  } finally {
    gzip.destroy();
    await fed.catch(() => {});
  }
}

/** Reads at least `bytes` bytes, if there are as many, and gives them back in front of the rest. */
async function peek(
  source: AsyncIterable<Buffer>,
  bytes: number,
): Promise<{ head: Buffer; all: AsyncGenerator<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < bytes) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  return { head, all: resumed(head, iterator) };
}

async function* resumed(head: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (head.length > 0) yield head;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}
