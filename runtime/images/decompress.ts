import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { ImageError } from "./image-error.ts";
import { EXPANSION_CHECKED_FROM_BYTES, EXPANSION_RATIO_MAX } from "./image-limits.ts";
import { onFailure } from "./stream-ends.ts";

export type Compression = "none" | "gzip" | "zstd";

const CHUNK_BYTES = 1 << 20;
/** 128 MiB, what the zstd tool itself accepts: more would let a frame of a few bytes claim gigabytes of memory. */
const ZSTD_WINDOW_LOG_MAX = 27;
const MAGIC_BYTES = 4;

/** How a stream is compressed, from its first bytes (RFC 1952, RFC 8878; skippable zstd frames included). */
export function sniffCompression(head: Uint8Array): Compression {
  if (head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  if (head.length < MAGIC_BYTES) return "none";
  const magic = Buffer.from(head.buffer, head.byteOffset, MAGIC_BYTES).readUInt32LE();
  const isSkippable = (magic & 0xffff_fff0) >>> 0 === 0x184d_2a50;
  return magic === 0xfd2f_b528 || isSkippable ? "zstd" : "none";
}

/** The plain bytes of a stream that is gzip, zstd or plain already. Bombs end in an error, not in a full disk. */
export async function* decompressed(
  source: AsyncIterable<Buffer>,
  options: { readonly name: string; readonly bytesMax: number; readonly abort: AbortSignal },
): AsyncGenerator<Buffer> {
  let bytesIn = 0;
  let bytesOut = 0;
  const { compression, all } = await peekCompression(source);
  const counted = tap(all, (chunk) => {
    bytesIn += chunk.length;
  });
  const plain =
    compression === "none" ? counted : decoded(counted, compression, options.name, options.abort);
  for await (const chunk of plain) {
    bytesOut += chunk.length;
    const isTooDense =
      bytesOut > EXPANSION_CHECKED_FROM_BYTES && bytesOut > bytesIn * EXPANSION_RATIO_MAX;
    if (bytesOut > options.bytesMax || isTooDense) throw bomb(options.name, bytesIn, bytesOut);
    yield chunk;
  }
}

async function* decoded(
  source: AsyncIterable<Buffer>,
  compression: "gzip" | "zstd",
  name: string,
  abort: AbortSignal,
): AsyncGenerator<Buffer> {
  let sourceFailure: unknown;
  const guarded = onFailure(source, (error) => {
    sourceFailure = error;
  });
  const decoder = createDecoder(compression);
  const fed = pipeline(Readable.from(guarded), decoder, { signal: abort });
  // Awaited below on each path; this keeps an early failure from counting as unhandled.
  fed.catch(() => {});
  try {
    for await (const chunk of decoder) yield chunk;
    await fed;
  } catch (error) {
    abort.throwIfAborted();
    throw sourceFailure ?? damaged(name, compression, error);
  } finally {
    decoder.destroy();
    await fed.catch(() => {});
  }
}

function createDecoder(compression: "gzip" | "zstd"): Transform {
  if (compression === "gzip") return createGunzip({ chunkSize: CHUNK_BYTES });
  const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX };
  return createZstdDecompress({ chunkSize: CHUNK_BYTES, params });
}

/** How a stream is compressed, and the stream itself, from its first byte on. */
export async function peekCompression(
  source: AsyncIterable<Buffer>,
): Promise<{ readonly compression: Compression; readonly all: AsyncGenerator<Buffer> }> {
  const { head, all } = await peek(source, MAGIC_BYTES);
  return { compression: sniffCompression(head), all };
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

async function* tap(
  source: AsyncIterable<Buffer>,
  look: (chunk: Buffer) => void,
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    look(chunk);
    yield chunk;
  }
}

function bomb(name: string, bytesIn: number, bytesOut: number): ImageError {
  return new ImageError({
    because: `${name} unpacks to more than ${bytesOut} bytes from ${bytesIn}, which looks like a bomb`,
    fix: "do not use this image, or have it built with smaller layers",
    kind: "stalled",
  });
}

function damaged(name: string, compression: string, cause: unknown): ImageError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new ImageError({
    because: `${name} is not valid ${compression} (${message})`,
    fix: "have the image built and pushed again",
    kind: "stalled",
    cause,
  });
}
