import type { Verdict } from "../control/control.ts";
import type { RolloutStep } from "../store/deploy-record.ts";
import type { EnforcedApp, RolloutCause, RolloutRecord } from "../store/rollout-store.ts";
import type { StateStore } from "../store/state-store.ts";

/** True for what brought something new here: a failure of it is answered by going back. */
export function isPromotion(cause: RolloutCause): boolean {
  return cause === "commit" || cause === "image";
}

/** The newest rollout of each app, in the store and at hand. */
export class RolloutLog {
  readonly #state: StateStore;
  #newest = new Map<string, RolloutRecord>();

  constructor(state: StateStore) {
    this.#state = state;
    this.reload();
  }

  /** What is at hand is what is written: to be called when a transaction around changes was undone. */
  reload(): void {
    this.#newest = new Map(this.#state.rollouts().map((rollout) => [rollout.app, rollout]));
  }

  newest(app: string): RolloutRecord | undefined {
    return this.#newest.get(app);
  }

  begin(enforced: EnforcedApp, cause: RolloutCause, startedAtMs: number): void {
    this.#newest.set(
      enforced.app.name,
      this.#state.insertRollout(enforced, { cause, startedAtMs }),
    );
  }

  /** The newest rollout of the app has this verdict from now on. */
  finish(app: string, how: { verdict: Verdict; reason: string; finishedAtMs: number }): void {
    const known = this.#newest.get(app);
    if (known === undefined) return;
    const finished = { ...known, ...how };
    this.#state.finishRollout(finished);
    this.#newest.set(app, finished);
  }

  /** Of these steps of the app, those are kept that were begun for its newest rollout, before the verdict. */
  record(app: string, steps: readonly RolloutStep[]): void {
    const newest = this.#newest.get(app);
    if (newest === undefined) return;
    const { id, startedAtMs, finishedAtMs } = newest;
    const own = steps.filter(
      (step) => step.startedAtMs >= startedAtMs && step.startedAtMs <= (finishedAtMs ?? Infinity),
    );
    if (own.length > 0) this.#state.addRolloutSteps(id, own);
  }

  forget(app: string): void {
    this.#state.forgetRollouts(app);
    this.#state.forgetFact(`memory-before.${app}`);
    this.#newest.delete(app);
  }
}
