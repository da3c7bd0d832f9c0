/** Files of the kernel that are read again and again: opened once and read from the start each time. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

/** The content of a file, in a buffer that the next read overwrites. */
export type FileContent = { readonly bytes: Buffer; readonly length: number };

/** The same object each time: thousands of reads in a row leave nothing for the garbage collector. */
const content: { bytes: Buffer; length: number } = { bytes: Buffer.alloc(0), length: 0 };

/** Grown when a file fills it. One thread reads one file at a time, so one buffer serves all. */
let buffer = Buffer.allocUnsafeSlow(16 * 1024);
const bufferBytesMax = 16 * 1024 * 1024;

/** Descriptors left to the rest of the process. */
const spareFiles = 512;
let keptFiles = 0;
let keptFilesMax: number | undefined;

/**
 * With `keep` the file stays open between reads, as long as the process has descriptors to spare: a kept one costs the
 * kernel some 4.6 KiB and spares three quarters of the time. It also holds a removed cgroup until it is closed.
 */
export class KeptFile {
  readonly #path: string;
  readonly #keep: boolean;
  #fd: number | undefined;

  constructor(path: string, options: { readonly keep: boolean }) {
    this.#path = path;
    this.#keep = options.keep;
  }

  /**
   * Throws ENOENT when the file is not there, and ENODEV when it was removed after it had been opened (a cgroup after
   * rmdir); the descriptor is closed then.
   */
  read(): FileContent {
    if (this.#fd !== undefined) return this.#readKept(this.#fd);
    const fd = openSync(this.#path, "r");
    if (this.#keep && keptFiles < maximum()) {
      this.#fd = fd;
      keptFiles++;
      return this.#readKept(fd);
    }
    try {
      return readWhole(fd);
    } finally {
      closeSync(fd);
    }
  }

  close(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
    keptFiles--;
  }

  #readKept(fd: number): FileContent {
    try {
      return readWhole(fd);
    } catch (error) {
      this.close();
      throw error;
    }
  }
}

/** The errno name of a failed system call. */
export function errnoName(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/** Files of cgroups come in one piece; those with many records (/proc/net/dev) a page at a time. */
function readWhole(fd: number): FileContent {
  let length = readSync(fd, buffer, 0, buffer.length, 0);
  // A page may be followed by more. A last record that did not fit leaves less than a quarter of it free.
  let piece = length;
  while (piece >= 3072) {
    if (length === buffer.length) grow();
    piece = readSync(fd, buffer, length, buffer.length - length, length);
    length += piece;
  }
  content.bytes = buffer;
  content.length = length;
  return content;
}

function grow(): void {
  if (buffer.length >= bufferBytesMax) {
    throw new Error(`cannot read a counter file because it has more than ${bufferBytesMax} bytes`);
  }
  const larger = Buffer.allocUnsafeSlow(buffer.length * 2);
  buffer.copy(larger);
  buffer = larger;
}

/** RLIMIT_NOFILE (proc_pid_limits(5)), less what others need. */
function maximum(): number {
  if (keptFilesMax === undefined) {
    const line = /^Max open files\s+(\d+|unlimited)/m.exec(
      readFileSync("/proc/self/limits", "utf8"),
    );
    const limit = Number(line?.[1] ?? 1024);
    keptFilesMax = Number.isNaN(limit) ? 65_536 : Math.max(0, limit - spareFiles);
  }
  return keptFilesMax;
}
