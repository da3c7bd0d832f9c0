import { type FileHandle, open } from "node:fs/promises";

const WRITE_BYTES = 1024 * 1024;

/** Makes the names in a directory survive a power cut (fsync(2): the directory needs its own). */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A new file that is written in pieces of about 1 MiB and is on stable storage once `finish` resolves. */
export class DurableFile {
  readonly #handle: FileHandle;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  static async create(path: string): Promise<DurableFile> {
    return new DurableFile(await open(path, "wx", 0o600));
  }

  /** Keeps the chunk until it is written: the caller must not change it. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#pendingBytes >= WRITE_BYTES) await this.#flush();
  }

  async finish(): Promise<void> {
    await this.#flush();
    await this.#handle.sync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #flush(): Promise<void> {
    let rest = this.#pending.filter((chunk) => chunk.length > 0);
    this.#pending = [];
    this.#pendingBytes = 0;
    while (rest.length > 0) {
      const { bytesWritten } = await this.#handle.writev(rest);
      rest = withoutFirst(rest, bytesWritten);
    }
  }
}

/** What a short write left over. */
function withoutFirst(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = bytes;
  for (const chunk of chunks) {
    if (skip < chunk.length) rest.push(chunk.subarray(skip));
    skip = Math.max(0, skip - chunk.length);
  }
  return rest;
}
