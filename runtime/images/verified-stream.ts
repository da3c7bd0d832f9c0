import { createHash } from "node:crypto";
import { type Digest, parseDigest } from "./digest.ts";
import { ImageError } from "./image-error.ts";

export type ExpectedContent = {
  readonly digest: Digest;
  readonly size: number;
  /** For the error, such as `layer sha256:… of registry localhost:5000`. */
  readonly name: string;
};

/**
 * Passes a stream through and fails at its end, or as soon as it is too long, unless it is exactly the content that
 * was announced. Whoever consumes it may use the bytes at once but must not keep the result of a stream that failed.
 */
export async function* verified(
  source: AsyncIterable<Buffer>,
  expected: ExpectedContent,
): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  for await (const chunk of sized(source, expected)) {
    hash.update(chunk);
    yield chunk;
  }
  checkDigest(expected, parseDigest(`sha256:${hash.digest("hex")}`));
}

/** The same for the length alone; whoever hashes the stream calls `checkDigest`. */
export async function* sized(
  source: AsyncIterable<Buffer>,
  expected: ExpectedContent,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > expected.size) {
      throw lie(expected, `is longer than the ${expected.size} bytes that were announced`);
    }
    yield chunk;
  }
  if (bytes !== expected.size) {
    throw lie(expected, `has ${bytes} bytes instead of the ${expected.size} announced`);
  }
}

export function checkDigest(expected: ExpectedContent, actual: Digest): void {
  if (actual !== expected.digest) throw lie(expected, `has the digest ${actual}`);
}

function lie(expected: ExpectedContent, what: string): ImageError {
  return new ImageError({
    because: `${expected.name} ${what}`,
    fix: "the content was changed or damaged: have the image pushed again, or ask who runs its source",
    kind: "stalled",
  });
}
