/** What the client of an exec stream sends, decoded and handed to the session. */
import type { Duplex } from "node:stream";
import type { z } from "zod";
import type { ProcessSession } from "../../runtime/runtime.ts";
import { RequestError } from "./api-error.ts";
import {
  createFrameDecoder,
  encodeFrame,
  FRAME,
  type Frame,
  STDIN_WINDOW_BYTES,
} from "./exec-frames.ts";
import { describeMistakes, Signal, Terminal } from "./requests.ts";

export type ExecInput = {
  /** Rejects on a wrong frame. */
  readonly first: Promise<Frame>;
  /** Hands all later frames to the session; what arrived before it existed comes first. */
  serve(session: ProcessSession, onMistake: (error: unknown) => void): void;
  /** Reads and drops whatever still comes, so that the connection can end. */
  stop(): void;
};

/** Begins to read frames; `head` is what arrived together with the upgrade request. */
export function openExecInput(connection: Duplex, head: Uint8Array): ExecInput {
  const decode = createFrameDecoder();
  const first = Promise.withResolvers<Frame>();
  first.promise.catch(() => undefined);
  const early = createEarlyFrames();
  let handle = (frame: Frame): void => {
    handle = early.hold;
    first.resolve(frame);
  };
  let mistake: unknown;
  let report = (error: unknown): void => {
    mistake = error;
    first.reject(error);
  };
  const stop = (): void => {
    connection.off("data", take);
    connection.resume();
  };
  function take(chunk: Uint8Array): void {
    try {
      for (const frame of decode(chunk)) handle(frame);
    } catch (error) {
      stop();
      report(error);
    }
  }
  if (head.length > 0) take(head);
  connection.on("data", take);
  return {
    first: first.promise,
    serve(session, onMistake) {
      handle = createFrameHandler(session, connection);
      report = onMistake;
      try {
        if (mistake !== undefined) throw mistake;
        for (const frame of early.release()) handle(frame);
      } catch (error) {
        onMistake(error);
      }
    },
    stop,
  };
}

/** The payload checked against its schema. */
export function readJsonFrame<Schema extends z.ZodType>(
  schema: Schema,
  frame: Frame,
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(frame.payload.toString("utf8"));
  } catch {
    throw wrongFrame("a payload that is not JSON");
  }
  return parse(schema, value);
}

export function wrongFrame(what: string): RequestError {
  return new RequestError(
    400,
    "usage",
    `cannot serve the exec stream because of a wrong frame: ${what}`,
  );
}

function createEarlyFrames(): { hold(frame: Frame): void; release(): readonly Frame[] } {
  const frames: Frame[] = [];
  let bytes = 0;
  return {
    hold(frame) {
      // What a frame costs here beside its payload is counted too, so that empty ones are bounded as well.
      bytes += frame.payload.length + 256;
      if (bytes > 2 * STDIN_WINDOW_BYTES) throw wrongFrame("too many before the process started");
      frames.push(frame);
    },
    release: () => frames.splice(0),
  };
}

function createFrameHandler(session: ProcessSession, connection: Duplex): (frame: Frame) => void {
  let bytesUnderWay = 0;
  // A process that closed its standard input has its EPIPE here; what is sent to it is dropped.
  session.stdin.on("error", () => undefined);
  const credit = (bytes: number): void => {
    bytesUnderWay -= bytes;
    const payload = Buffer.alloc(4);
    payload.writeUInt32LE(bytes);
    if (connection.writable) connection.write(encodeFrame(FRAME.credit, payload));
  };
  return (frame) => {
    const { type, payload } = frame;
    switch (type) {
      case FRAME.stdin:
        bytesUnderWay += payload.length;
        if (bytesUnderWay > STDIN_WINDOW_BYTES) throw wrongFrame("input above the window");
        session.stdin.write(payload, () => credit(payload.length));
        return;
      case FRAME.stdinEnd:
        session.stdin.end();
        return;
      case FRAME.resize:
        session.resize(readJsonFrame(Terminal, frame));
        return;
      case FRAME.signal:
        session.signal(parse(Signal, payload[0]));
        return;
      case FRAME.detach:
        // To a supervisor, signal 0 says that the process shall outlive this session.
        session.signal(0);
        return;
      default:
        throw wrongFrame(`type ${type} in the wrong place`);
    }
  };
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (!result.success) throw wrongFrame(describeMistakes(result.error));
  return result.data;
}
