import type { ImageStore } from "../../runtime/images/image-store.ts";
import { backoffMs } from "../backoff.ts";
import type { Clock } from "../clock.ts";
import { describeError } from "../log.ts";

export type WatchedTag = { readonly reference: string; readonly everyMs: number };

export type MovedTag = {
  readonly reference: string;
  /** Digests; undefined: it was not here. */
  readonly from: string | undefined;
  readonly to: string;
};

type TagWatcherOptions = {
  readonly images: Pick<ImageStore, "find" | "resolve" | "pull">;
  /** What is watched now; a reference that several ask for is asked at the shortest interval. */
  readonly watched: () => readonly WatchedTag[];
  readonly clock: Clock;
  readonly random: () => number;
  /** The image that the tag names now is here. */
  readonly onMoved: (moved: MovedTag) => void;
  /** The registry could not be asked, or the image not be pulled. */
  readonly onFailed: (reference: string, message: string) => void;
};

type Turn = { readonly atMs: number; readonly failures: number };

/**
 * Asks registries whether tags moved, each at its own interval and up to a tenth of it later; after a failure later
 * and later, up to a day. One at a time: who watches many tags does not flood a registry.
 */
export class TagWatcher {
  readonly #options: TagWatcherOptions;
  readonly #turns = new Map<string, Turn>();

  constructor(options: TagWatcherOptions) {
    this.#options = options;
  }

  /** Until the signal; never rejects. */
  async run(abort: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!abort.aborted) {
      const tags = this.#tags();
      for (const reference of this.#turns.keys()) {
        if (!tags.has(reference)) this.#turns.delete(reference);
      }
      for (const [reference, everyMs] of tags) {
        const turn = this.#turns.get(reference);
        if (abort.aborted) return;
        if (turn === undefined) this.#plan(reference, everyMs, 0);
        else if (turn.atMs <= clock.now()) await this.#ask(reference, everyMs, abort);
      }
      const times = [...this.#turns.values()].map(({ atMs }) => atMs - clock.now());
      const waitMs = Math.max(0, Math.min(lookMs, ...times));
      await clock.sleep(waitMs, abort).catch(() => {});
    }
  }

  #tags(): ReadonlyMap<string, number> {
    const tags = new Map<string, number>();
    for (const { reference, everyMs } of this.#options.watched()) {
      tags.set(reference, Math.min(everyMs, tags.get(reference) ?? Infinity));
    }
    return tags;
  }

  async #ask(reference: string, everyMs: number, abort: AbortSignal): Promise<void> {
    const { images, onMoved, onFailed } = this.#options;
    try {
      const digest = await images.resolve(reference, abort);
      const before = images.find(reference)?.digest;
      // An index is known by the digest of the image in it, too.
      if (before === undefined || images.find(digest)?.digest !== before) {
        const { digest: to } = await images.pull(reference, { abort });
        if (to !== before) onMoved({ reference, from: before, to });
      }
      this.#plan(reference, everyMs, 0);
    } catch (error) {
      if (abort.aborted) return;
      onFailed(reference, describeError(error));
      this.#plan(reference, everyMs, (this.#turns.get(reference)?.failures ?? 0) + 1);
    }
  }

  #plan(reference: string, everyMs: number, failures: number): void {
    const { clock, random } = this.#options;
    const delayMs =
      failures === 0
        ? everyMs * (1 + random() / 10)
        : backoffMs({
            failures,
            firstMs: everyMs * 2,
            maxMs: Math.max(everyMs, failingMsMax),
            random: random(),
          });
    this.#turns.set(reference, { atMs: clock.now() + delayMs, failures });
  }
}

/** Tags that a new revision brings are noticed this late. */
const lookMs = 5_000;
const failingMsMax = 86_400_000;
