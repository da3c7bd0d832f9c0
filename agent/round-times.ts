import type { Clock } from "./clock.ts";
import type { ActualState } from "./observe.ts";
import { judgedAnewAtMs } from "./rollout/readiness.ts";

type Begun = { readonly atMs: number; readonly isFresh: boolean };

/**
 * What comes due by time alone, against what rounds have seen: a round takes its time, and what came due while it ran is due
 * at once.
 */
export class RoundTimes {
  readonly #clock: Clock;
  #begun: Begun = { atMs: Number.NEGATIVE_INFINITY, isFresh: true };
  /** When the last finished round began that looked at everything. */
  #freshAtMs = Number.POSITIVE_INFINITY;
  /** When a difference may be looked at again that only time keeps from being closed. */
  #heldUntilMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `isFresh`: the round looks at everything, not only at what was missed. */
  begin(isFresh: boolean): void {
    this.#begun = { atMs: this.#clock.now(), isFresh };
  }

  /** A round that looks at less forgets nothing that others are held for. */
  hold(untilMs: number | undefined): void {
    const earlierMs = this.#begun.isFresh ? Number.POSITIVE_INFINITY : this.#heldUntilMs;
    this.#heldUntilMs = Math.min(untilMs ?? Number.POSITIVE_INFINITY, earlierMs);
  }

  end(): void {
    if (this.#begun.isFresh) this.#freshAtMs = this.#begun.atMs;
  }

  /** Milliseconds until another round is due, 0 or less: at once. `nextTryAtMs`: of the first app that failed. */
  dueInMs({ containers }: ActualState, nextTryAtMs: number | undefined): number {
    const nowMs = this.#clock.now();
    // After the clock was set back the last round lies ahead, and has seen nothing of what comes.
    const seenAtMs = Math.min(this.#freshAtMs, nowMs);
    const changesAtMs = containers.flatMap(judgedAnewAtMs).filter((atMs) => atMs > seenAtMs);
    // One that was due already and was not tried waits for something else.
    const triesAtMs =
      nextTryAtMs !== undefined && nextTryAtMs > this.#begun.atMs ? [nextTryAtMs] : [];
    return Math.min(this.#heldUntilMs, ...changesAtMs, ...triesAtMs) - nowMs;
  }
}
