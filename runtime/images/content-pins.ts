import type { Digest } from "./digest.ts";

/**
 * Content that work under way counts on and no record refers to yet. Collection takes an unpinned name out of the
 * store within the same turn of the event loop in which it looked here, so pinning first and looking for the content
 * afterwards is enough.
 */
export class ContentPins {
  readonly #counts = new Map<Digest, number>();

  has(digest: Digest): boolean {
    return this.#counts.has(digest);
  }

  /** Runs `work` with a way to pin; whatever it pinned is let go when it ends. */
  async during<T>(work: (pin: (digest: Digest) => void) => Promise<T>): Promise<T> {
    const held = new Set<Digest>();
    const pin = (digest: Digest): void => {
      if (held.has(digest)) return;
      held.add(digest);
      this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1);
    };
    try {
      return await work(pin);
    } finally {
      for (const digest of held) this.#unpin(digest);
    }
  }

  /** Pins until the function that it returns is called. */
  hold(digests: readonly Digest[]): () => void {
    const held = new Set(digests);
    for (const digest of held) this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1);
    return () => {
      for (const digest of held) this.#unpin(digest);
      held.clear();
    };
  }

  #unpin(digest: Digest): void {
    const left = (this.#counts.get(digest) ?? 1) - 1;
    if (left === 0) this.#counts.delete(digest);
    else this.#counts.set(digest, left);
  }
}
