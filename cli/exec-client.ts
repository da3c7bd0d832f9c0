/** The command line's end of an exec stream (`agent/api/exec-frames.ts`). */
import type { Duplex } from "node:stream";
import {
  createFrameDecoder,
  EXEC_PROTOCOL,
  type ExecExit,
  encodeData,
  encodeFrame,
  encodeJsonFrame,
  FRAME,
  type Frame,
  STDIN_WINDOW_BYTES,
} from "../agent/api/exec-frames.ts";
import type {
  AttachRequest,
  CopyRequest,
  ExecRequest,
  RunStreamRequest,
} from "../agent/api/requests.ts";
import type { TransferStep } from "../agent/images/transfer-meter.ts";
import { upgrade } from "./agent-client.ts";
import { CliError } from "./cli-error.ts";
import type { Context } from "./context.ts";
import type { DetachKeys } from "./detach-keys.ts";

/** `id` is that of a container that was run. */
type Started = { readonly tty: boolean; readonly id?: string };

export type ExecClient = {
  /** Resolves when the process runs; rejects with the agent's sentence when it cannot. */
  readonly started: Promise<Started>;
  readonly exit: Promise<ExecExit>;
  /** Passes a stream on as standard input, no faster than the process takes it. */
  sendInput(source: NodeJS.ReadableStream, keys?: DetachKeys): void;
  /** Resolves when the detach keys were typed. */
  readonly detached: Promise<void>;
  resize(size: { readonly rows: number; readonly columns: number }): void;
  signal(number: number): void;
  /** Leaves at once; the agent then ends the process. */
  close(): void;
};

/** Starts the command, or attaches; output goes to the two streams, which may be as slow as they like. */
export async function openExec(options: {
  readonly context: Context;
  readonly path: "/v1/exec" | "/v1/attach" | "/v1/copy" | "/v1/run";
  readonly request: ExecRequest | AttachRequest | CopyRequest | RunStreamRequest;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Hears of the image that a run waits for. */
  readonly onProgress?: (step: TransferStep) => void;
}): Promise<ExecClient> {
  const { context, path, request, stdout, stderr, onProgress } = options;
  const connection = await upgrade(context, path, EXEC_PROTOCOL);
  const started = Promise.withResolvers<Started>();
  const exit = Promise.withResolvers<ExecExit>();
  const fail = (error: Error): void => {
    started.reject(error);
    exit.reject(error);
  };
  // Whoever waits for one of them only must not be ended by the other.
  started.promise.catch(() => undefined);
  exit.promise.catch(() => undefined);
  const window = new InputWindow(connection);
  const output = (stream: NodeJS.WritableStream, bytes: Buffer): void => {
    if (stream.write(bytes) || connection.isPaused()) return;
    connection.pause();
    stream.once("drain", () => connection.resume());
  };
  const handle = ({ type, payload }: Frame): void => {
    // The agent made these payloads from the types that are named here.
    if (type === FRAME.progress) onProgress?.(JSON.parse(payload.toString()) as TransferStep);
    else if (type === FRAME.started) started.resolve(JSON.parse(payload.toString()) as Started);
    else if (type === FRAME.stdout) output(stdout, payload);
    else if (type === FRAME.stderr) output(stderr, payload);
    else if (type === FRAME.credit) window.give(payload.readUInt32LE(0));
    else if (type === FRAME.exit) exit.resolve(JSON.parse(payload.toString()) as ExecExit);
    else if (type === FRAME.error) {
      const failure = JSON.parse(payload.toString()) as { error: string; exitCode?: number };
      fail(new CliError(failure.exitCode ?? 1, failure.error));
    }
  };
  const decode = createFrameDecoder();
  connection.on("data", (chunk: Buffer) => {
    try {
      for (const frame of decode(chunk)) handle(frame);
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
      connection.destroy();
    }
  });
  connection.on("error", fail);
  connection.on("close", () => {
    fail(new CliError(1, "cannot say how the command ended because the agent ended meanwhile"));
  });
  connection.write(encodeJsonFrame(FRAME.open, request));
  return {
    started: started.promise,
    exit: exit.promise,
    sendInput: (source, keys) => window.send(source, keys),
    detached: window.detached.promise,
    resize: (size) => connection.write(encodeJsonFrame(FRAME.resize, size)),
    signal: (number) => connection.write(encodeFrame(FRAME.signal, Uint8Array.of(number))),
    close: () => connection.destroy(),
  };
}

/** Holds standard input back while the agent has as much of it as it wants. */
class InputWindow {
  readonly #connection: Duplex;
  #bytesAllowed = STDIN_WINDOW_BYTES;
  #waiting: Buffer[] = [];
  #source: NodeJS.ReadableStream | undefined;
  #ended = false;
  readonly detached = Promise.withResolvers<void>();

  constructor(connection: Duplex) {
    this.#connection = connection;
  }

  give(bytes: number): void {
    this.#bytesAllowed += bytes;
    if (this.#waiting.length > 0) this.#flush();
  }

  send(source: NodeJS.ReadableStream, keys?: DetachKeys): void {
    this.#source = source;
    source.on("data", (chunk: Buffer) => {
      const { bytes, detached } = keys?.filter(chunk) ?? { bytes: chunk, detached: false };
      this.#waiting.push(bytes);
      this.#flush();
      if (detached)
        this.#connection.write(encodeFrame(FRAME.detach), () => this.detached.resolve());
    });
    source.on("end", () => this.#end());
    // A standard input that cannot be read is at its end.
    source.on("error", () => this.#end());
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#flush();
  }

  #flush(): void {
    for (const chunk of this.#waiting.splice(0)) {
      const now = chunk.subarray(0, this.#bytesAllowed);
      this.#bytesAllowed -= now.length;
      for (const frame of encodeData(FRAME.stdin, now)) this.#connection.write(frame);
      if (now.length < chunk.length) this.#waiting.push(chunk.subarray(now.length));
    }
    if (this.#waiting.length > 0) this.#source?.pause();
    else if (this.#ended) this.#connection.write(encodeFrame(FRAME.stdinEnd));
    else this.#source?.resume();
  }
}
