import { ImageError } from "./image-error.ts";

/** Collects a small body. Fails as soon as it is larger than `bytesMax`, however much more would come. */
export async function readBody(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
  sender: string,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      throw tooLarge(sender, bytesMax);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function tooLarge(sender: string, bytesMax: number): ImageError {
  return new ImageError({
    because: `${sender} sends more than the ${bytesMax} bytes that are allowed here`,
    fix: "ask who runs it, or use another",
    kind: "stalled",
  });
}
