import type { Clock } from "../../agent/clock.ts";

type Sleeper = { atMs: number; readonly wake: () => void };

/** A clock that stands still until told. Between two sleepers everything that is ready to run is let run. */
export class SimulatedClock implements Clock {
  #nowMs = Date.parse("2026-01-01T00:00:00Z");
  readonly #sleepers = new Set<Sleeper>();

  now(): number {
    return this.#nowMs;
  }

  /** As when somebody sets the clock: who sleeps does so for as long as before. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
    for (const sleeper of this.#sleepers) sleeper.atMs += byMs;
  }

  sleep(durationMs: number, abort: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (abort.aborted) {
        reject(abort.reason);
        return;
      }
      const onAbort = () => {
        this.#sleepers.delete(sleeper);
        reject(abort.reason);
      };
      const sleeper: Sleeper = {
        atMs: this.#nowMs + Math.max(0, durationMs),
        wake: () => {
          abort.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      abort.addEventListener("abort", onAbort, { once: true });
      this.#sleepers.add(sleeper);
    });
  }

  /** Lets `durationMs` pass, waking sleepers in the order of their times. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    await settle();
    for (;;) {
      const [next] = [...this.#sleepers].toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > endMs) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#sleepers.delete(next);
      next.wake();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }
}

/** Lets pending promises run on; the loop's own chains are some dozens of turns long. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
