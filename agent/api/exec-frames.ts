/**
 * The frames of an exec stream, both ways over one upgraded connection: u8 type, u32 little-endian length of
 * the payload, payload.
 *
 * Standard input is credited: the client may have `STDIN_WINDOW_BYTES` under way and more only as CREDIT frames
 * give them back, so signals and window sizes never wait behind input that nobody reads. Output needs none: a
 * reader that is slow simply stops reading the socket.
 */
export const EXEC_PROTOCOL = "berth-exec/1";
export const STDIN_WINDOW_BYTES = 262_144;
const FRAME_DATA_BYTES_MAX = 65_536;
const OPEN_BYTES_MAX = 1_048_576;
const HEADER_BYTES = 5;

/** The client sends the first six, the agent the others. JSON payloads are UTF-8. */
export const FRAME = {
  /** JSON `ExecRequest`; first, once. */
  open: 1,
  stdin: 2,
  /** End of standard input; empty. */
  stdinEnd: 3,
  /** JSON `{rows, columns}`. */
  resize: 4,
  /** u8 signal number. */
  signal: 5,
  /** The client leaves and the process goes on; empty. */
  detach: 6,
  /** JSON `{pid, tty}`, of a run `{id}` of its container too. */
  started: 16,
  stdout: 17,
  stderr: 18,
  /** u32 bytes of standard input that were taken. */
  credit: 19,
  /** JSON `ExecExit`; the last frame. */
  exit: 20,
  /** JSON `{error, kind, exitCode?}`, the code of a command that could not be executed; the last frame. */
  error: 21,
  /** JSON `TransferStep`, of the image that a run waits for; before STARTED. */
  progress: 22,
} as const;

export type FrameType = (typeof FRAME)[keyof typeof FRAME];
export type Frame = { readonly type: FrameType; readonly payload: Buffer };

/** `code` and `signal` are both null when the status was lost. */
export type ExecExit = {
  readonly code: number | null;
  readonly signal: number | null;
  readonly oomKilled: boolean;
};

const frameTypes = new Map<number, FrameType>(Object.values(FRAME).map((type) => [type, type]));

export function encodeFrame(type: FrameType, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt8(type, 0);
  frame.writeUInt32LE(payload.length, 1);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

export function encodeJsonFrame(type: FrameType, value: unknown): Buffer {
  return encodeFrame(type, Buffer.from(JSON.stringify(value)));
}

/** The chunk as frames of at most `FRAME_DATA_BYTES_MAX` each. */
export function* encodeData(type: FrameType, chunk: Uint8Array): Generator<Buffer> {
  for (let start = 0; start < chunk.length; start += FRAME_DATA_BYTES_MAX) {
    yield encodeFrame(type, chunk.subarray(start, start + FRAME_DATA_BYTES_MAX));
  }
}

/**
 * Returns a function that takes chunks as they arrive and gives the frames that are complete. It throws on an
 * unknown type or a length above the limit, and never holds more than one unfinished frame.
 */
export function createFrameDecoder(): (chunk: Uint8Array) => Frame[] {
  let parts: Uint8Array[] = [];
  let bytesHeld = 0;
  let bytesNeeded = HEADER_BYTES;
  return function decode(chunk) {
    parts.push(chunk);
    bytesHeld += chunk.length;
    if (bytesHeld < bytesNeeded) return [];
    const bytes = Buffer.concat(parts, bytesHeld);
    const frames: Frame[] = [];
    let offset = 0;
    for (;;) {
      bytesNeeded = HEADER_BYTES;
      if (bytes.length - offset < bytesNeeded) break;
      const header = readHeader(bytes, offset);
      bytesNeeded = HEADER_BYTES + header.length;
      if (bytes.length - offset < bytesNeeded) break;
      const payload = bytes.subarray(offset + HEADER_BYTES, offset + bytesNeeded);
      frames.push({ type: header.type, payload });
      offset += bytesNeeded;
    }
    parts = [bytes.subarray(offset)];
    bytesHeld = bytes.length - offset;
    return frames;
  };
}

function readHeader(bytes: Buffer, offset: number): { type: FrameType; length: number } {
  const code = bytes.readUInt8(offset);
  const type = frameTypes.get(code);
  if (type === undefined) {
    throw new RangeError(`cannot read the exec stream because frame type ${code} is unknown`);
  }
  const length = bytes.readUInt32LE(offset + 1);
  const bytesMax =
    type === FRAME.open || type === FRAME.error ? OPEN_BYTES_MAX : FRAME_DATA_BYTES_MAX;
  if (length > bytesMax) {
    throw new RangeError(
      `cannot read the exec stream because a frame of ${length} bytes is above ${bytesMax}`,
    );
  }
  return { type, length };
}
