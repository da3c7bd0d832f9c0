import type { Socket } from "node:net";
import { PassThrough, Writable } from "node:stream";
import { attachFlag, message, PROTOCOL_VERSION } from "../protocol.ts";
import type { ProcessSession } from "../runtime.ts";
import { readHelperError } from "./helper-error.ts";
import { type Message, receiveMessages, sendMessage } from "./message-stream.ts";
import {
  connected,
  type ProcessExit,
  readExited,
  type SupervisorAddress,
} from "./supervisor-socket.ts";
import { WireReader, WireWriter } from "./wire.ts";

/**
 * Starts a process in a container; resolves once its program was executed. `flags`: `execFlag` bits. A process that did
 * not get so far when `startMs` are over or `abort` comes is killed.
 */
export function execInContainer(
  supervisor: SupervisorAddress,
  request: { readonly flags: number; readonly program: Uint8Array },
  options: { readonly startMs?: number; readonly abort?: AbortSignal | undefined } = {},
): Promise<ProcessSession> {
  const body = new WireWriter().u32(request.flags).raw(request.program).finish();
  return openSession(supervisor, message.exec, body, options);
}

/** Streams of the container's first process. `owner`: `BERTH_ATTACH_OWNER`. */
export function attachToContainer(
  supervisor: SupervisorAddress,
  { stdin, owner = false }: { readonly stdin: boolean; readonly owner?: boolean },
): Promise<ProcessSession> {
  const flags = attachFlag.output | (stdin ? attachFlag.stdin : 0) | (owner ? attachFlag.owner : 0);
  return openSession(supervisor, message.attach, new WireWriter().u32(flags).finish());
}

const sessionId = 1;
const inputChunkBytes = 65_536;
const startMsDefault = 10_000;

async function openSession(
  supervisor: SupervisorAddress,
  type: number,
  body: Buffer,
  options: { readonly startMs?: number; readonly abort?: AbortSignal | undefined } = {},
): Promise<ProcessSession> {
  options.abort?.throwIfAborted();
  const { socketPath, protocol = PROTOCOL_VERSION } = supervisor;
  const socket = await connected(socketPath);
  const send = (type: number, body: Buffer) =>
    sendMessage(socket, { id: sessionId, type, body }, protocol);
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
  const onMessage = (received: Message) => {
    if (received.type === message.error) reject(readHelperError(received.body));
    else if (received.type === message.started) resolve(new WireReader(received.body).u32());
    else if (received.type === message.output) deliver(socket, received.body, stdout, stderr);
    else if (received.type === message.exited) {
      exited(readExited(received.body));
      socket.end();
    }
  };
  receiveMessages(socket, onMessage, protocol);
  send(type, body);
  const pid = await startedInTime(started, options).catch((error: unknown) => {
    // The supervisor kills a process that is not started yet when its client goes.
    socket.destroy();
    throw error;
  });
  return {
    pid,
    stdin: inputStream(socket, (bytes) => send(message.input, bytes)),
    stdout,
    stderr,
    exit: exit.then((ended) => ({ ...ended, oomKilled: false })),
    resize: (size) => {
      if (!socket.writable) return;
      send(message.resize, new WireWriter().u32(size.rows).u32(size.columns).finish());
    },
    signal: (signal) => {
      if (!socket.writable) return;
      // A session that was attached to is no EXEC: what it is sent goes to the container's first process.
      if (type === message.attach && signal !== 0)
        send(message.signal, new WireWriter().u32(signal).u32(0).finish());
      else send(message.execSignal, new WireWriter().u32(signal).finish());
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
  const number = reader.u32();
  const stream = number === 1 ? stdout : stderr;
  if (stream.write(number === 0 ? tellDropped(reader.bytes()) : reader.bytes())) return;
  socket.pause();
  stream.once("drain", () => socket.resume());
}

/** In the place of what a reader was too slow for. */
function tellDropped(count: Buffer): string {
  return `\nberth: ${count.readBigUInt64LE()} bytes of output are left out here because they were not read in time\n`;
}

/** `sendInput`: false when the kernel's buffer is full. */
function inputStream(socket: Socket, sendInput: (body: Buffer) => boolean): Writable {
  const send = (bytes: Buffer, done: (error?: Error | null) => void) => {
    if (!socket.writable) {
      done();
      return;
    }
    if (sendInput(new WireWriter().bytes(bytes).finish())) done();
    else socket.once("drain", () => done());
  };
  return new Writable({
    highWaterMark: inputChunkBytes,
    write: (chunk: Buffer, _encoding, done) => send(chunk, done),
    final: (done) => send(Buffer.alloc(0), done),
  });
}
