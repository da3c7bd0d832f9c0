import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { ArchiveOrder, TakenEntry, UnpackOrder, UnpackOutcome } from "../images/unpacker.ts";
import { Program } from "../program/program.ts";
import { encoding, message, print } from "../protocol.ts";
import type { Log } from "../runtime.ts";
import { readTaken, readUnpacked, sendArchive } from "./archive-client.ts";
import { readHelperError } from "./helper-error.ts";
import { type Message, receiveMessages, sendMessage } from "./message-stream.ts";
import { WireReader, WireWriter } from "./wire.ts";

export type StartRequest = {
  readonly containerId: string;
  readonly socketPath: string;
  readonly exitPath: string;
  readonly logPath: string;
  readonly logFileBytesMax: number;
  readonly logFilesMax: number;
  /** `startFlag` bits. */
  readonly flags: number;
  readonly program: Uint8Array;
};

/** A process as the kernel identifies it: a pid alone may be reused, with its start time it is not. */
export type ProcessIdentity = {
  readonly pid: number;
  /** Clock ticks since boot, field 22 of /proc/PID/stat. */
  readonly startTime: bigint;
};

export type Started = { readonly process: ProcessIdentity; readonly supervisor: ProcessIdentity };

export type UnpackRequest = Omit<UnpackOrder, "abort"> & { readonly socketPath: string };
export type TakeRequest = Omit<ArchiveOrder, "abort"> & { readonly socketPath: string };

/** A group of files, as the helper is asked for them. */
export type WatchedFiles = Buffer & { readonly brand: unique symbol };

/** To be kept for as long as the group is asked for. `status`: which inode it is, its size and when it changed. */
export function watchedFiles(
  files: readonly { readonly covers: keyof typeof print; readonly path: string }[],
): WatchedFiles {
  const writer = new WireWriter();
  writer.list(files, ({ covers, path }) => writer.u32(print[covers]).string(path));
  // A copy of its own length: the writer's memory is larger.
  return Buffer.from(writer.finish()) as WatchedFiles;
}

const fingerprintBytes = 16;
/** So that a message with the longest paths does not become too long. */
const groupsAtOnce = 128;

/** The launcher ended before it answered: what it was asked for may have been done, or be done still. */
export class LauncherLostError extends Error {}

type Waiting = {
  resolve(answer: Message): void;
  reject(error: Error): void;
  replies: Buffer[];
};

/**
 * The helper's first life: one resident process that forks supervisors, so that this process never forks.
 * It is started again when it died; supervisors and containers do not depend on it.
 */
export class Launcher {
  readonly #helperPath: string;
  readonly #log: Log;
  readonly #onSpawn: (pid: number) => void;
  readonly #waiting = new Map<number, Waiting>();
  #child: ChildProcess | undefined;
  #nextId = 1;
  #closed = false;

  constructor(options: {
    readonly helperPath: string;
    readonly log: Log;
    /** Called for every process that is started, before it gets its first request. */
    readonly onSpawn?: (pid: number) => void;
  }) {
    this.#helperPath = options.helperPath;
    this.#log = options.log;
    this.#onSpawn = options.onSpawn ?? (() => {});
  }

  /** Starts the process and checks that it speaks this version of the protocol. */
  async open(): Promise<{ readonly pid: number; readonly version: string }> {
    const answer = await this.#ask(message.hello, Buffer.alloc(0));
    const reader = new WireReader(answer.body);
    reader.u32();
    return { pid: reader.u32(), version: reader.string() };
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(request: StartRequest): Promise<Started> {
    const writer = new WireWriter()
      .string(request.containerId)
      .string(request.socketPath)
      .string(request.exitPath)
      .string(request.logPath)
      .u64(request.logFileBytesMax)
      .u32(request.logFilesMax)
      .u32(request.flags)
      .raw(request.program);
    const answer = await this.#ask(message.start, writer.finish());
    const reader = new WireReader(answer.body);
    const process = { pid: reader.u32(), startTime: reader.u64() };
    return { process, supervisor: { pid: reader.u32(), startTime: reader.u64() } };
  }

  /** Carries out host operations in a child; resolves with what those had to report that were asked to. */
  async run(program: Uint8Array): Promise<Buffer> {
    const replies: Buffer[] = [];
    await this.#ask(message.run, program, replies);
    return Buffer.concat(replies);
  }

  /** Sends netlink messages as one datagram; resolves with the answers, headers included. */
  netlink(request: {
    readonly family: number;
    readonly messages: Buffer;
    readonly replies: boolean;
  }): Promise<Buffer> {
    const { family, messages, replies } = request;
    return this.run(new Program().netlink(family, messages, { replies }).finish());
  }

  /** What groups of files are like, in the order of the groups: another text as soon as one of its files is another. */
  async fingerprints(groups: readonly WatchedFiles[]): Promise<readonly string[]> {
    const prints: string[] = [];
    for (let from = 0; from < groups.length; from += groupsAtOnce) {
      const asked = Buffer.concat(groups.slice(from, from + groupsAtOnce));
      const { body } = await this.#ask(message.fingerprint, asked);
      for (let at = 0; at < body.length; at += fingerprintBytes)
        prints.push(body.toString("latin1", at, at + fingerprintBytes));
    }
    return prints;
  }

  async removeTree(path: string): Promise<void> {
    await this.#ask(message.removeTree, new WireWriter().string(path).finish());
  }

  /** One datagram to a UNIX socket (sd_notify); a path beginning with `@` is abstract. */
  async notify(socketPath: string, datagram: string): Promise<void> {
    await this.#ask(message.notify, new WireWriter().string(socketPath).string(datagram).finish());
  }

  /** Streams an archive into a child that unpacks it below `destination`, as `Unpacker` describes. */
  async unpack(request: UnpackRequest, tar: Readable, abort: AbortSignal): Promise<UnpackOutcome> {
    const writer = new WireWriter()
      .string(request.socketPath)
      .string(request.destination)
      .u32(request.idBase)
      .u64(request.bytesMax)
      .u32(request.entriesMax);
    await this.#ask(
      message.unpack,
      encoded(writer, request)
        .u32(request.endMayLack ? 1 : 0)
        .string(request.keepAs ?? "")
        .finish(),
    );
    return readUnpacked(await sendArchive(request.socketPath, { tar, abort }));
  }

  /** Streams an archive into a child that takes its files, as `Unpacker` describes. */
  async takeFiles(
    request: TakeRequest,
    tar: Readable,
    abort: AbortSignal,
  ): Promise<readonly TakenEntry[]> {
    const writer = new WireWriter()
      .string(request.socketPath)
      .string(request.destination)
      .u64(request.bytesMax)
      .u32(request.entriesMax);
    await this.#ask(message.takeFiles, encoded(writer, request).finish());
    const entries: TakenEntry[] = [];
    const onFile = (body: Buffer): void => {
      entries.push(readTaken(body));
    };
    await sendArchive(request.socketPath, { tar, abort, onFile });
    return entries;
  }

  /** Ends the launcher by closing its socket. Supervisors live on. */
  async close(): Promise<void> {
    this.#closed = true;
    const child = this.#child;
    if (child === undefined) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.stdin?.end();
    await ended;
  }

  #ask(type: number, body: Buffer | Uint8Array, replies: Buffer[] = []): Promise<Message> {
    const child = this.#ensureChild();
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 0xffff_fffe) + 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, replies });
      if (child.stdin !== null) sendMessage(child.stdin, { id, type, body: Buffer.from(body) });
    });
  }

  #ensureChild(): ChildProcess {
    if (this.#closed) throw new Error("cannot ask the launcher: it was closed");
    if (this.#child !== undefined) return this.#child;
    const child = spawn(this.#helperPath, ["launcher"], {
      stdio: ["pipe", "pipe", "inherit"],
      env: {},
      detached: true,
    });
    child.once("error", (error) => this.#lost(child, error));
    child.once("exit", (code, signal) => {
      this.#lost(child, new Error(`the launcher ended with ${signal ?? `code ${code}`}`));
    });
    child.stdin?.on("error", () => {});
    if (child.stdout !== null) {
      child.stdout.on("error", (error) => this.#lost(child, error));
      receiveMessages(child.stdout, (answer) => this.#receive(answer));
    }
    this.#child = child;
    if (child.pid !== undefined) this.#onSpawn(child.pid);
    return child;
  }

  #receive(answer: Message): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    if (answer.type === message.netlinkReply || answer.type === message.changes) {
      waiting.replies.push(new WireReader(answer.body).bytes());
      return;
    }
    this.#waiting.delete(answer.id);
    if (answer.type === message.error) waiting.reject(readHelperError(answer.body));
    else waiting.resolve(answer);
  }

  #lost(child: ChildProcess, cause: Error): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    if (!this.#closed)
      this.#log.error("launcher lost, the next request starts another", { cause: cause.message });
    const failed = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const waiting of failed) {
      waiting.reject(new LauncherLostError(`cannot ask the launcher: ${cause.message}`, { cause }));
    }
  }
}

function encoded(writer: WireWriter, request: Omit<ArchiveOrder, "abort">): WireWriter {
  return writer
    .u32(encoding[request.encoding])
    .u64(request.expansionCheckedFromBytes)
    .u32(request.expansionRatioMax);
}
