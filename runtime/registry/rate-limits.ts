import { setTimeout as sleep } from "node:timers/promises";

/** A pause that a host asked for. */
export type RateWait = { readonly host: string; readonly untilMs: number };

/** Longer pauses are an error that says when to come back. */
const PAUSE_MS_MAX = 30_000;
const HOSTS_MAX = 1000;
const BACKOFF_FIRST_MS = 250;

/** Remembers which hosts asked to be left alone, for all requests to them. */
export class RateLimits {
  readonly #until = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Notes what an answer asked for; the pause before the next attempt, undefined when it is too long to be waited for. */
  note(host: string, retryAfter: string | undefined): number | undefined {
    const askedMs = retryAfterMs(retryAfter, this.#now());
    if (askedMs === undefined) return 0;
    if (this.#until.size >= HOSTS_MAX) this.#until.clear();
    this.#until.set(host, Math.max(this.#now() + askedMs, this.#until.get(host) ?? 0));
    return askedMs > PAUSE_MS_MAX ? undefined : askedMs;
  }

  /** Milliseconds since the epoch until when a host wants no request; undefined when it takes them. */
  until(host: string): number | undefined {
    const untilMs = this.#until.get(host);
    if (untilMs === undefined || untilMs > this.#now()) return untilMs;
    this.#until.delete(host);
    return undefined;
  }

  /** Waits until the host takes requests again. False, at once, when that is too long. */
  async wait(host: string, abort: AbortSignal, tell?: (wait: RateWait) => void): Promise<boolean> {
    for (;;) {
      const untilMs = this.until(host);
      if (untilMs === undefined) return true;
      const pauseMs = untilMs - this.#now();
      if (pauseMs > PAUSE_MS_MAX) return false;
      tell?.({ host, untilMs });
      await sleep(pauseMs, undefined, { signal: abort });
    }
  }
}

/** Milliseconds that a Retry-After header (seconds or a date, RFC 9110, 10.2.3) asks to wait. */
export function retryAfterMs(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/** Pause before the next attempt: doubling, with up to half of it taken off so that hosts do not march in step. */
export function backoffMs(attempt: number): number {
  return BACKOFF_FIRST_MS * 2 ** (attempt - 1) * (1 - Math.random() / 2);
}
