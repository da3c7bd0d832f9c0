import { createConnection, type Socket } from "node:net";
import { PassThrough, Writable } from "node:stream";
import { attachFlag, message } from "../protocol.ts";
import type { ProcessSession } from "../runtime.ts";
import { readHelperError } from "./helper-error.ts";
import type { ProcessIdentity } from "./launcher.ts";
import { type Message, receiveMessages, sendMessage } from "./message-stream.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** What a supervisor knows of an end: whether the kernel was the one to kill is for the cgroup to say. */
export type ProcessExit = {
  readonly code?: number;
  readonly signal?: number;
  readonly finishedAtMs: number;
};

export type SupervisorState = {
  readonly phase: "held" | "running" | "ended";
  readonly process: ProcessIdentity;
  readonly supervisorPid: number;
};

/** Decodes the body of an EXITED message. */
function readExited(body: Buffer): ProcessExit {
  const reader = new WireReader(body);
  const known = reader.u32() === 1;
  const code = reader.u32();
  const signal = reader.u32();
  const finishedAtMs = Number(reader.u64());
  if (!known) return { finishedAtMs };
  return signal === 0 ? { code, finishedAtMs } : { signal, finishedAtMs };
}

/**
 * The connection through which the runtime watches one container. `ended` resolves with the exit, or with undefined
 * when the supervisor went away without saying one.
 */
export class SupervisorClient {
  readonly ended: Promise<ProcessExit | undefined>;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { resolve(m: Message): void; reject(e: Error): void }>();
  #nextId = 2;

  private constructor(socket: Socket, ended: Promise<ProcessExit | undefined>) {
    this.#socket = socket;
    this.ended = ended;
  }

  /** Rejects with ENOENT or ECONNREFUSED when no supervisor listens there. */
  static async connect(
    socketPath: string,
  ): Promise<{ readonly client: SupervisorClient; readonly state: SupervisorState }> {
    const socket = await connected(socketPath);
    const { promise: ended, resolve: resolveEnded } = Promise.withResolvers<
      ProcessExit | undefined
    >();
    const client = new SupervisorClient(socket, ended);
    receiveMessages(socket, (received) => {
      if (received.type === message.exited) resolveEnded(readExited(received.body));
      else client.#receive(received);
    });
    socket.on("error", () => {});
    socket.once("close", () => {
      resolveEnded(undefined);
      client.#fail(new Error("cannot ask the supervisor: its connection was closed"));
    });
    const state = readState((await client.#ask(message.status, Buffer.alloc(0), 1)).body);
    return { client, state };
  }

  /** `all`: to every process of the container, not to its first one only. */
  async signal(signal: number, all: boolean): Promise<void> {
    await this.#ask(
      message.signal,
      new WireWriter()
        .u32(signal)
        .u32(all ? 1 : 0)
        .finish(),
    );
  }

  async release(): Promise<void> {
    await this.#ask(message.release, Buffer.alloc(0));
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(type: number, body: Buffer, id = this.#nextId++): Promise<Message> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(new Error("cannot ask the supervisor: its connection was closed"));
        return;
      }
      this.#waiting.set(id, { resolve, reject });
      sendMessage(this.#socket, { id, type, body });
    });
  }

  #receive(received: Message): void {
    const waiting = this.#waiting.get(received.id);
    if (waiting === undefined) return;
    this.#waiting.delete(received.id);
    if (received.type === message.error) waiting.reject(readHelperError(received.body));
    else waiting.resolve(received);
  }

  #fail(error: Error): void {
    const failed = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const waiting of failed) waiting.reject(error);
  }
}

/**
 * Starts a process in a container; resolves once its program was executed. `flags`: `execFlag` bits. A process that did
 * not get so far when `startMs` are over or `abort` comes is killed.
 */
export function execInContainer(
  socketPath: string,
  request: { readonly flags: number; readonly program: Uint8Array },
  options: { readonly startMs?: number; readonly abort?: AbortSignal | undefined } = {},
): Promise<ProcessSession> {
  const body = new WireWriter().u32(request.flags).raw(request.program).finish();
  return openSession(socketPath, message.exec, body, options);
}

/** Streams of the container's first process. */
export function attachToContainer(
  socketPath: string,
  options: { readonly stdin: boolean },
): Promise<ProcessSession> {
  const flags = attachFlag.output | (options.stdin ? attachFlag.stdin : 0);
  return openSession(socketPath, message.attach, new WireWriter().u32(flags).finish());
}

const sessionId = 1;
const inputChunkBytes = 65_536;
const startMsDefault = 10_000;

async function openSession(
  socketPath: string,
  type: number,
  body: Buffer,
  options: { readonly startMs?: number; readonly abort?: AbortSignal | undefined } = {},
): Promise<ProcessSession> {
  options.abort?.throwIfAborted();
  const socket = await connected(socketPath);
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const { promise: exit, resolve: exited } = Promise.withResolvers<ProcessExit>();
  const { promise: started, resolve, reject } = Promise.withResolvers<number>();
  socket.on("error", reject);
  socket.once("close", () => {
    reject(new Error("cannot run the process: the supervisor closed the connection"));
    exited({ finishedAtMs: Date.now() });
    stdout.end();
    stderr.end();
  });
  receiveMessages(socket, (received) => {
    if (received.type === message.error) reject(readHelperError(received.body));
    else if (received.type === message.started) resolve(new WireReader(received.body).u32());
    else if (received.type === message.output) deliver(socket, received.body, stdout, stderr);
    else if (received.type === message.exited) {
      exited(readExited(received.body));
      socket.end();
    }
  });
  sendMessage(socket, { id: sessionId, type, body });
  const pid = await startedInTime(started, options).catch((error: unknown) => {
    // The supervisor kills a process that is not started yet when its client goes.
    socket.destroy();
    throw error;
  });
  return {
    pid,
    stdin: inputStream(socket),
    stdout,
    stderr,
    exit: exit.then((ended) => ({ ...ended, oomKilled: false })),
    resize: (size) => {
      if (!socket.writable) return;
      const resize = new WireWriter().u32(size.rows).u32(size.columns).finish();
      sendMessage(socket, { id: sessionId, type: message.resize, body: resize });
    },
    signal: (signal) => {
      if (!socket.writable) return;
      const body = new WireWriter().u32(signal).finish();
      sendMessage(socket, { id: sessionId, type: message.execSignal, body });
    },
    close: () => socket.destroy(),
  };
}

/** The new process is in the container before it runs its program, where others may stop it or keep it from running. */
async function startedInTime(
  started: Promise<number>,
  options: { readonly startMs?: number; readonly abort?: AbortSignal | undefined },
): Promise<number> {
  const { startMs = startMsDefault, abort } = options;
  const late = Promise.withResolvers<never>();
  const onAbort = () => late.reject(abort?.reason);
  const timer = setTimeout(() => {
    late.reject(
      new Error(
        `cannot run the process because it was not started within ${startMs} ms: the container is paused, overloaded or stops it; the process was given up`,
      ),
    );
  }, startMs);
  abort?.addEventListener("abort", onAbort, { once: true });
  if (abort?.aborted) onAbort();
  try {
    return await Promise.race([started, late.promise]);
  } finally {
    clearTimeout(timer);
    abort?.removeEventListener("abort", onAbort);
  }
}

function deliver(socket: Socket, body: Buffer, stdout: PassThrough, stderr: PassThrough): void {
  const reader = new WireReader(body);
  const stream = reader.u32() === 2 ? stderr : stdout;
  if (stream.write(reader.bytes())) return;
  socket.pause();
  stream.once("drain", () => socket.resume());
}

function inputStream(socket: Socket): Writable {
  const send = (bytes: Buffer, done: (error?: Error | null) => void) => {
    if (!socket.writable) {
      done();
      return;
    }
    const body = new WireWriter().bytes(bytes).finish();
    if (sendMessage(socket, { id: sessionId, type: message.input, body })) done();
    else socket.once("drain", () => done());
  };
  return new Writable({
    highWaterMark: inputChunkBytes,
    write: (chunk: Buffer, _encoding, done) => send(chunk, done),
    final: (done) => send(Buffer.alloc(0), done),
  });
}

function connected(socketPath: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path: socketPath });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

function readState(body: Buffer): SupervisorState {
  const reader = new WireReader(body);
  const phase = (["held", "running", "ended"] as const)[reader.u32()] ?? "ended";
  const process = { pid: reader.u32(), startTime: reader.u64() };
  return { phase, process, supervisorPid: reader.u32() };
}
