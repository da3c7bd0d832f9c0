import { statfs } from "node:fs/promises";
import { ImageError } from "./image-error.ts";

/** Left over whatever comes in: the records have to be written too. */
const FREE_BYTES_KEPT = 16 * 1024 * 1024;

/** What something is going to write: under one key it counts once, however many want it. */
export type SpaceWish = { readonly key: string; readonly bytes: number };

export type Reservation = {
  /** So much of a wish is still to be written: the rest is on the disk and counts there. */
  remaining(key: string, bytes: number): void;
  release(): void;
};

/** Why something was refused, or failed, for want of space. */
export class SpaceShortage extends Error {
  readonly bytesMissing: number;

  constructor(bytesMissing: number) {
    super(`${bytesMissing} bytes are missing`);
    this.name = "SpaceShortage";
    this.bytesMissing = bytesMissing;
  }
}

/** Space on the store's disk that was promised to pulls and loads under way. */
export class DiskSpace {
  readonly #directory: string;
  readonly #wishes = new Map<string, { bytes: number; holders: number }>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** As df(1) counts: what is kept for root is no part of it. */
  async measure(): Promise<{ readonly totalBytes: number; readonly freeBytes: number }> {
    const { bsize, blocks, bfree, bavail } = await statfs(this.#directory);
    return { totalBytes: (blocks - bfree + bavail) * bsize, freeBytes: bavail * bsize };
  }

  /** Rejects, before anything is written, when what others were promised and this do not fit together. */
  async reserve(wishes: readonly SpaceWish[]): Promise<Reservation> {
    const { freeBytes } = await this.measure();
    const own = new Map(wishes.map(({ key, bytes }) => [key, bytes]));
    const promised = [...this.#wishes].reduce((sum, [, { bytes }]) => sum + bytes, 0);
    const fresh = [...own].filter(([key]) => !this.#wishes.has(key));
    const wanted = fresh.reduce((sum, [, bytes]) => sum + bytes, 0);
    const missing = promised + wanted + FREE_BYTES_KEPT - freeBytes;
    if (wanted > 0 && missing > 0) throw this.#refusal({ freeBytes, promised, wanted, missing });
    for (const [key, bytes] of own) {
      const held = this.#wishes.get(key);
      if (held === undefined) this.#wishes.set(key, { bytes, holders: 1 });
      else held.holders += 1;
    }
    let isHeld = true;
    return {
      remaining: (key, bytes) => {
        const held = this.#wishes.get(key);
        if (isHeld && held !== undefined) held.bytes = Math.min(held.bytes, Math.max(0, bytes));
      },
      release: () => {
        if (isHeld) for (const key of own.keys()) this.#release(key);
        isHeld = false;
      },
    };
  }

  #release(key: string): void {
    const held = this.#wishes.get(key);
    if (held === undefined) return;
    held.holders -= 1;
    if (held.holders === 0) this.#wishes.delete(key);
  }

  #refusal(bytes: {
    readonly freeBytes: number;
    readonly promised: number;
    readonly wanted: number;
    readonly missing: number;
  }): ImageError {
    const mebibytes = (count: number): string => `${Math.ceil(count / 2 ** 20)} MiB`;
    const others =
      bytes.promised === 0 ? "" : `, of which others under way take ${mebibytes(bytes.promised)},`;
    return new ImageError({
      because:
        `the disk of ${this.#directory} has ${mebibytes(bytes.freeBytes)} free${others} ` +
        `and it needs ${mebibytes(bytes.wanted + FREE_BYTES_KEPT)} at least`,
      fix: "free space there or remove images; nothing was downloaded",
      kind: "stalled",
      cause: new SpaceShortage(bytes.missing),
    });
  }
}

/** Undefined: it failed for another reason. The bytes are not known when the disk was full on the way. */
export function spaceMissing(error: unknown): { readonly bytes?: number } | undefined {
  let current = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth += 1) {
    if (current instanceof SpaceShortage) return { bytes: current.bytesMissing };
    if ("code" in current && (current.code === "ENOSPC" || current.code === "EDQUOT")) return {};
    current = current.cause;
  }
  return undefined;
}
