import { backoffMs } from "../backoff.ts";
import type { Clock } from "../clock.ts";
import type { Applied } from "./rollouts.ts";
import { isTrouble } from "./rollouts.ts";
import { troubleOf } from "./troubles.ts";
import type { AppTrouble } from "./verdict.ts";

const retryMsMax = 60_000;

type Failing = { readonly failures: number; readonly retryAtMs: number };

/** When each app may be planned again, and what kept it from being as wanted. `""` stands for the host. */
export class Pacing {
  readonly #options: { readonly clock: Clock; readonly random: () => number };
  readonly #failing = new Map<string, Failing>();
  readonly #troubles = new Map<string, AppTrouble>();
  /** Left out of a round that would have looked at them. */
  readonly #missed = new Set<string>();

  constructor(options: { readonly clock: Clock; readonly random: () => number }) {
    this.#options = options;
  }

  trouble(app: string): AppTrouble | undefined {
    return this.#troubles.get(app) ?? this.#troubles.get("");
  }

  /** Of the app's own steps. */
  ownTrouble(app: string): AppTrouble | undefined {
    return this.#troubles.get(app);
  }

  get hasTroubles(): boolean {
    return this.#troubles.size > 0;
  }

  /** False while what failed lately is left alone. */
  mayTry(app: string): boolean {
    const failing = this.#failing.get(app);
    if (failing === undefined) return true;
    const leftMs = failing.retryAtMs - this.#options.clock.now();
    // Longer than any delay after the clock was set back.
    return leftMs <= 0 || leftMs > retryMsMax;
  }

  /** It was missed, or the time to try again what failed has come. */
  isDue(app: string): boolean {
    return this.#missed.has(app) || (this.#failing.has(app) && this.mayTry(app));
  }

  miss(app: string): void {
    this.#missed.add(app);
  }

  /** It is being looked at: what was held against it was of the round before. */
  looked(app: string): void {
    this.#missed.delete(app);
    if (this.#troubles.get(app)?.kind === "waiting") this.#troubles.delete(app);
  }

  /** Nothing is to be done for it. */
  settled(app: string): void {
    this.#failing.delete(app);
    this.#troubles.delete(app);
  }

  waits(app: string, reason: string): void {
    this.#troubles.set(app, { kind: "waiting", reason, failures: 0, targets: [] });
  }

  ended({ apps, results, isOutdated }: Applied): void {
    const { clock, random } = this.#options;
    for (const app of apps) {
      const own = results.filter(({ planned }) => (planned.step.app ?? "") === app);
      const trouble = isOutdated ? undefined : troubleOf(this.#troubles.get(app), own);
      if (trouble === undefined) this.#troubles.delete(app);
      else this.#troubles.set(app, trouble);
      if (isOutdated) this.#missed.add(app);
      if (isOutdated || !own.some(({ outcome }) => isTrouble(outcome))) {
        this.#failing.delete(app);
        continue;
      }
      const failures = (this.#failing.get(app)?.failures ?? 0) + 1;
      const delayMs = backoffMs({ failures, firstMs: 1_000, maxMs: retryMsMax, random: random() });
      this.#failing.set(app, { failures, retryAtMs: clock.now() + delayMs });
    }
  }

  /** When the first app that failed may be tried again. */
  nextTryAtMs(): number | undefined {
    const times = [...this.#failing.values()].map(({ retryAtMs }) => retryAtMs);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  forget(app: string): void {
    this.settled(app);
    this.#missed.delete(app);
  }

  forgetAll(): void {
    this.#failing.clear();
    this.#troubles.clear();
  }
}
