import type { ObserveOptions } from "../runtime/runtime.ts";
import type { Clock } from "./clock.ts";

/** How long what was found on the host counts: drift is found at the latest then. */
const intervalMs = 10_000;

/**
 * When a round looks for what was changed by hand. A commit or an end need no such look, and with a thousand containers
 * it is most of a round.
 */
export class DriftLooks {
  readonly #clock: Clock;
  #lookedAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What the round that begins now looks at; an operator who asks for a sync sees everything. */
  begin(reasons: readonly string[]): ObserveOptions {
    const everything = reasons.includes("sync");
    if (!everything && this.dueInMs() > 0) return { drift: "known" };
    this.#lookedAtMs = this.#clock.now();
    return { drift: everything ? "everything" : "due" };
  }

  dueInMs(): number {
    if (this.#lookedAtMs === undefined) return 0;
    const sinceMs = this.#clock.now() - this.#lookedAtMs;
    // A clock that was set back is no reason to stop looking.
    return sinceMs < 0 ? 0 : Math.max(0, intervalMs - sinceMs);
  }
}
