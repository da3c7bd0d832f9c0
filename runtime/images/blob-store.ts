import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestHex } from "./digest.ts";
import { DurableFile, syncDirectory } from "./durable-files.ts";
import { ImageError } from "./image-error.ts";
import { readBody } from "./read-body.ts";
import type { StoreLayout } from "./store-layout.ts";
import { checkDigest, type ExpectedContent, sized, verified } from "./verified-stream.ts";

const READ_BYTES = 1024 * 1024;

/** Blobs by digest: manifests, configurations and layers as they travelled. A name that exists is complete. */
export class BlobStore {
  readonly #layout: StoreLayout;

  constructor(layout: StoreLayout) {
    this.#layout = layout;
  }

  path(digest: Digest): string {
    return join(this.#layout.blobs, digestHex(digest));
  }

  /** Size in bytes, undefined when the blob is not here. */
  async size(digest: Digest): Promise<number | undefined> {
    try {
      return (await lstat(this.path(digest))).size;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** The stored bytes, verified again on the way: disks lie too. A damaged blob is removed. */
  read(digest: Digest, size: number): AsyncGenerator<Buffer> {
    const expected = { digest, size, name: `stored blob ${digest}` };
    return this.#verifyStored(this.raw(digest), expected);
  }

  /** The stored bytes, as many as are expected; the caller hashes them and calls `recheck`. */
  async *readSized(expected: ExpectedContent): AsyncGenerator<Buffer> {
    try {
      yield* sized(this.raw(expected.digest), expected);
    } catch (error) {
      throw await this.#removedIfDamaged(expected.digest, error);
    }
  }

  /** Passes a stored blob's own bytes through; the blob is removed when they turn out to be damaged. */
  async *#verifyStored(
    source: AsyncIterable<Buffer>,
    expected: ExpectedContent,
  ): AsyncGenerator<Buffer> {
    try {
      yield* verified(source, expected);
    } catch (error) {
      throw await this.#removedIfDamaged(expected.digest, error);
    }
  }

  /** The same for bytes that were hashed elsewhere. */
  async recheck(expected: ExpectedContent, actual: Digest): Promise<void> {
    try {
      checkDigest(expected, actual);
    } catch (error) {
      throw await this.#removedIfDamaged(expected.digest, error);
    }
  }

  /** The stored bytes as they are. */
  raw(digest: Digest): AsyncIterable<Buffer> {
    return createReadStream(this.path(digest), { highWaterMark: READ_BYTES });
  }

  /** The first bytes, unverified. */
  async head(digest: Digest, bytes: number): Promise<Buffer> {
    const handle = await open(this.path(digest), "r");
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  }

  async readWhole(digest: Digest, bytesMax: number): Promise<Buffer | undefined> {
    const size = await this.size(digest);
    if (size === undefined) return undefined;
    return readBody(this.read(digest, size), bytesMax, `stored blob ${digest}`);
  }

  /**
   * Passes a stream through and keeps it as `digest` once it has ended without an error: the stream verifies
   * itself. Nothing is kept of a stream that fails or is given up.
   */
  async *keep(source: AsyncIterable<Buffer>, digest: Digest): AsyncGenerator<Buffer> {
    const incoming = await this.#begin();
    try {
      for await (const chunk of source) {
        await incoming.file.write(chunk);
        yield chunk;
      }
      await this.#complete(incoming, digest);
    } finally {
      await this.#discard(incoming);
    }
  }

  /** Stores a whole stream that verifies itself. */
  async put(digest: Digest, source: AsyncIterable<Buffer>): Promise<void> {
    for await (const _ of this.keep(source, digest));
  }

  /** For what others write; `place` or `discard` comes next. */
  incomingPath(): string {
    return join(this.#layout.incoming, `blob-${randomUUID()}`);
  }

  /** Gives an incoming file its name. It must be what the digest says, and on stable storage. */
  place(path: string, digest: Digest): Promise<void> {
    return this.placeAll([[path, digest]]);
  }

  /** The same for many. */
  async placeAll(files: Iterable<readonly [path: string, digest: Digest]>): Promise<void> {
    for (const [path, digest] of files) await rename(path, this.path(digest));
    await syncDirectory(this.#layout.blobs);
  }

  /** Removes an incoming file, if it has not been placed. */
  discard(path: string): Promise<void> {
    return rm(path, { force: true });
  }

  async #removedIfDamaged(digest: Digest, cause: unknown): Promise<unknown> {
    if (!(cause instanceof ImageError)) return cause;
    await rm(this.path(digest), { force: true });
    return new ImageError({
      because: `the stored blob ${digest} was damaged and has been removed`,
      fix: "pull or load the image again, and check the disk",
      kind: "retryable",
      cause,
    });
  }

  async #begin(): Promise<{ readonly path: string; readonly file: DurableFile }> {
    const path = this.incomingPath();
    return { path, file: await DurableFile.create(path) };
  }

  async #complete(incoming: { path: string; file: DurableFile }, digest: Digest): Promise<void> {
    await incoming.file.finish();
    await this.place(incoming.path, digest);
  }

  /** After a completed write the path is gone already. */
  async #discard(incoming: { path: string; file: DurableFile }): Promise<void> {
    await incoming.file.close();
    await this.discard(incoming.path);
  }
}
