import type { Readable, Writable } from "node:stream";
import { HEADER_BYTES, MESSAGE_BYTES_MAX, PROTOCOL_VERSION } from "../protocol.ts";

export type Message = { readonly id: number; readonly type: number; readonly body: Buffer };

/** A message whose header has another version byte than the one expected: what follows the header is not known. */
export class ProtocolVersionError extends Error {
  override readonly name = "ProtocolVersionError";
  readonly version: number;

  constructor(version: number, expected: number) {
    super(
      `cannot understand the helper: it speaks protocol version ${version}; version ${expected} is expected`,
    );
    this.version = version;
  }
}

/**
 * Returns false when the kernel's buffer is full: wait for `drain` before sending more. `version`: the protocol's that the
 * other side speaks.
 */
export function sendMessage(
  to: Writable,
  message: Message,
  version: number = PROTOCOL_VERSION,
): boolean {
  if (message.body.length > MESSAGE_BYTES_MAX) {
    throw new Error(
      `cannot send a message of ${message.body.length} bytes: at most ${MESSAGE_BYTES_MAX} are allowed`,
    );
  }
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(message.body.length, 0);
  header.writeUInt32LE(message.id, 4);
  header.writeUInt16LE(message.type, 8);
  header.writeUInt8(version, 10);
  header.writeUInt8(0, 11);
  if (message.body.length === 0) return to.write(header);
  return to.write(Buffer.concat([header, message.body]));
}

/** Cuts a byte stream into messages. A malformed header destroys the stream with an error. */
export function receiveMessages(
  from: Readable,
  onMessage: (message: Message) => void,
  expected: number = PROTOCOL_VERSION,
): void {
  let pending: Buffer = Buffer.alloc(0);
  from.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let offset = 0;
    while (pending.length - offset >= HEADER_BYTES) {
      const length = pending.readUInt32LE(offset);
      const version = pending.readUInt8(offset + 10);
      if (version !== expected) {
        from.destroy(new ProtocolVersionError(version, expected));
        return;
      }
      if (length > MESSAGE_BYTES_MAX) {
        from.destroy(
          new Error(
            `cannot understand the helper: a message of ${length} bytes; at most ${MESSAGE_BYTES_MAX} are expected`,
          ),
        );
        return;
      }
      if (pending.length - offset < HEADER_BYTES + length) break;
      const start = offset + HEADER_BYTES;
      onMessage({
        id: pending.readUInt32LE(offset + 4),
        type: pending.readUInt16LE(offset + 8),
        body: pending.subarray(start, start + length),
      });
      offset = start + length;
    }
    pending = pending.subarray(offset);
  });
}
