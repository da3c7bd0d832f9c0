/** Bodies of answers that lie in several pieces of memory, and are not copied into one. */
import type { ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { constants, createGzip } from "node:zlib";

export type BodyParts = readonly Uint8Array[];

export function byteLength(parts: BodyParts): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

/** The response's head must have been written, with the parts' length. */
export function endWithParts(response: ServerResponse, parts: BodyParts): void {
  for (const part of parts) response.write(part);
  response.end();
}

/** As one gzip member, fast rather than small. The parts are not needed any more once it resolves. */
export async function compress(parts: BodyParts): Promise<BodyParts> {
  const zip = createGzip({ level: constants.Z_BEST_SPEED, chunkSize: 256 * 1024 });
  for (const part of parts) zip.write(part);
  zip.end();
  return [await buffer(zip)];
}
