import { watch } from "node:fs";
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { LogLine } from "../runtime.ts";

const chunkBytes = 65_536;
const followPollMs = 1000;

/**
 * Reads the json-file log at `path` with its rotated files (`path.1` is the newest of them), oldest line first. With
 * `follow` it goes on until `abort`, or until `ended` resolves and the file is read to its end.
 */
export async function* readLog(
  path: string,
  options: {
    readonly tail?: number;
    readonly sinceMs?: number;
    readonly follow: boolean;
    readonly abort: AbortSignal;
    readonly ended: Promise<unknown>;
  },
): AsyncGenerator<LogLine> {
  const cursor = new LogCursor(path);
  try {
    const stored = storedLines(path, cursor);
    const wanted = options.tail === undefined ? stored : lastOf(stored, options.tail);
    for await (const line of wanted) {
      if (options.abort.aborted) return;
      if (isSince(line, options.sinceMs)) yield line;
    }
    if (options.follow) {
      for await (const line of cursor.follow(options.abort, options.ended)) {
        if (isSince(line, options.sinceMs)) yield line;
      }
    }
  } finally {
    await cursor.close();
  }
}

/** Reads the live file from where it was left, over its rotations. */
class LogCursor {
  readonly #path: string;
  #handle: FileHandle | undefined;
  #inode = 0n;
  #offset = 0;
  #partial: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  async *rest(): AsyncGenerator<LogLine> {
    if (this.#handle === undefined && !(await this.#open())) return;
    const chunk = Buffer.allocUnsafe(chunkBytes);
    for (;;) {
      const { bytesRead } = (await this.#handle?.read(chunk, 0, chunkBytes, this.#offset)) ?? {
        bytesRead: 0,
      };
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      yield* this.#lines(chunk.subarray(0, bytesRead));
    }
  }

  async *follow(abort: AbortSignal, ended: Promise<unknown>): AsyncGenerator<LogLine> {
    let isEnded = false;
    const changed = new ChangeSignal(this.#path);
    const stop = new AbortController();
    const signal = AbortSignal.any([abort, stop.signal]);
    void ended.then(() => {
      isEnded = true;
      changed.raise();
    });
    try {
      while (!abort.aborted) {
        const last = isEnded;
        yield* this.rest();
        if (await this.#rotated()) {
          yield* this.rest();
          await this.close();
          continue;
        }
        if (last) return;
        await changed.wait(signal);
      }
    } finally {
      stop.abort();
      changed.close();
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
    this.#offset = 0;
    this.#partial = Buffer.alloc(0);
  }

  async #open(): Promise<boolean> {
    try {
      this.#handle = await open(this.#path, "r");
      this.#inode = (await this.#handle.stat({ bigint: true })).ino;
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  async #rotated(): Promise<boolean> {
    if (this.#handle === undefined) return false;
    const now = await stat(this.#path, { bigint: true }).catch(() => undefined);
    return now !== undefined && now.ino !== this.#inode;
  }

  *#lines(bytes: Buffer): Generator<LogLine> {
    let rest = this.#partial.length === 0 ? bytes : Buffer.concat([this.#partial, bytes]);
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      const line = parseLine(rest.toString("utf8", 0, end));
      if (line !== undefined) yield line;
      rest = rest.subarray(end + 1);
    }
    this.#partial = Buffer.from(rest);
  }
}

/** inotify tells of writes at once; the poll covers file systems and limits where it cannot. */
class ChangeSignal {
  readonly #watcher: { close(): void } | undefined;
  #wake: (() => void) | undefined;
  #raised = false;

  constructor(path: string) {
    try {
      const watcher = watch(dirname(path), { persistent: false }, () => this.raise());
      watcher.on("error", () => watcher.close());
      this.#watcher = watcher;
    } catch {
      this.#watcher = undefined;
    }
  }

  raise(): void {
    this.#raised = true;
    this.#wake?.();
  }

  async wait(abort: AbortSignal): Promise<void> {
    if (!this.#raised) {
      const wait = new AbortController();
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const timer = delay(followPollMs, undefined, {
        signal: AbortSignal.any([abort, wait.signal]),
      });
      await Promise.race([woken, timer.catch(() => {})]);
      wait.abort();
    }
    this.#raised = false;
    this.#wake = undefined;
  }

  close(): void {
    this.#watcher?.close();
  }
}

async function* storedLines(path: string, cursor: LogCursor): AsyncGenerator<LogLine> {
  for (const rotated of await rotatedFiles(path)) {
    const older = new LogCursor(rotated);
    try {
      yield* older.rest();
    } finally {
      await older.close();
    }
  }
  yield* cursor.rest();
}

/** Oldest first: the highest number. */
async function rotatedFiles(path: string): Promise<readonly string[]> {
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path)).catch(() => []);
  return names
    .filter((name) => name.startsWith(prefix) && /^[0-9]+$/.test(name.slice(prefix.length)))
    .toSorted((a, b) => Number(b.slice(prefix.length)) - Number(a.slice(prefix.length)))
    .map((name) => join(dirname(path), name));
}

async function* lastOf(lines: AsyncIterable<LogLine>, count: number): AsyncGenerator<LogLine> {
  if (count <= 0) {
    for await (const _ of lines);
    return;
  }
  const kept: LogLine[] = [];
  let next = 0;
  for await (const line of lines) {
    if (kept.length < count) kept.push(line);
    else kept[next] = line;
    next = (next + 1) % count;
  }
  yield* kept.length < count ? kept : [...kept.slice(next), ...kept.slice(0, next)];
}

function parseLine(text: string): LogLine | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const { log, stream, time } = parsed as Record<string, unknown>;
    if (typeof log !== "string" || typeof time !== "string") return undefined;
    return { stream: stream === "stderr" ? "stderr" : "stdout", time, text: log };
  } catch {
    // A line torn by a power cut.
    return undefined;
  }
}

function isSince(line: LogLine, sinceMs: number | undefined): boolean {
  return sinceMs === undefined || Date.parse(line.time) >= sinceMs;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
