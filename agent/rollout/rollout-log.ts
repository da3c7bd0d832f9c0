import type { Verdict } from "../control/control.ts";
import type { EnforcedApp, RolloutCause, RolloutRecord } from "../store/rollout-store.ts";
import type { StateStore } from "../store/state-store.ts";

/** The newest rollout of each app, in the store and at hand. */
export class RolloutLog {
  readonly #state: StateStore;
  readonly #newest: Map<string, RolloutRecord>;

  constructor(state: StateStore) {
    this.#state = state;
    this.#newest = new Map(state.rollouts().map((rollout) => [rollout.app, rollout]));
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

  forget(app: string): void {
    this.#state.forgetRollouts(app);
    this.#newest.delete(app);
  }
}
