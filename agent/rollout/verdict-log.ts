import type { Verdict } from "../control/control.ts";
import type { Core } from "../core.ts";
import type { RolloutRecord } from "../store/rollout-store.ts";
import type { Promotion } from "./promotion.ts";
import type { WayBack } from "./roll-back.ts";
import type { AppEvaluation } from "./verdict.ts";

type VerdictCore = Pick<
  Core,
  "state" | "events" | "clock" | "enforcement" | "rollouts" | "log" | "meters" | "wake"
>;

/** Writes down how rollouts end, and tells of it. */
export class VerdictLog {
  readonly #core: VerdictCore;

  constructor(core: VerdictCore) {
    this.#core = core;
  }

  /** True when what is held of the app was healthy at some time. */
  wasHealthy(app: string): boolean {
    return this.#core.rollouts.newest(app)?.verdict === "healthy";
  }

  promoted({ promoted, removed }: Promotion): void {
    const { events, log } = this.#core;
    for (const { app, revision } of promoted) {
      log.info("rollout begins", { app: app.name, revision });
      const message = `${app.name} moves to ${revision.slice(0, 12)}`;
      const fields = { revision };
      events.record({ kind: "rollout.started", app: app.name, target: app.name, message, fields });
    }
    for (const app of removed) {
      log.info("app left git", { app });
      const message = `${app} left git and is removed`;
      events.record({ kind: "app.removed", app, target: app, message });
    }
  }

  /** The first good verdict of a rollout stays, unless it is rolled back; a bad one may still turn good. */
  judged(app: string, { verdict, reason }: Pick<AppEvaluation, "verdict" | "reason">): void {
    const { rollouts, clock } = this.#core;
    const known = rollouts.newest(app);
    if (known === undefined || verdict === "pending" || known.verdict === "healthy") return;
    if (known.verdict === verdict && known.reason === reason) return;
    const finishedAtMs = clock.now();
    rollouts.finish(app, { verdict, reason, finishedAtMs });
    if (known.verdict !== verdict) this.#tell({ ...known, verdict, reason, finishedAtMs });
  }

  /** `before`: the rollouts that were taken back. */
  rolledBack(before: readonly RolloutRecord[], back: WayBack, evidence: string): void {
    const { log, events, clock } = this.#core;
    for (const rollout of before) {
      const finishedAtMs = clock.now();
      this.#tell({ ...rollout, verdict: "rolled-back", reason: evidence, finishedAtMs });
      const { app } = rollout;
      const target = back.get(app)?.revision ?? "nothing";
      log.warn("rolling back", { app, from: rollout.revision, to: target, evidence });
      const message = `${app} goes back to ${target.slice(0, 12)}`;
      events.record({
        kind: "rollout.started",
        app,
        target: app,
        message,
        fields: { revision: target },
      });
    }
  }

  /** Nothing is left to do for the newest revision. */
  running(): void {
    const { state, enforcement, events } = this.#core;
    const revision = enforcement.desired()?.revision;
    if (revision === undefined || state.fact("revision.running") === revision) return;
    state.setFact("revision.running", revision);
    const message = `revision ${revision.slice(0, 12)} runs`;
    events.record({ kind: "revision.running", target: revision, message });
  }

  #tell({ app, revision, verdict, reason, startedAtMs, finishedAtMs }: RolloutRecord): void {
    const { events, log, meters, enforcement, wake } = this.#core;
    const durationMs = (finishedAtMs ?? startedAtMs) - startedAtMs;
    log.info("verdict", { app, revision, verdict, reason });
    meters.verdict(verdict, durationMs);
    const message = `${app} at ${revision.slice(0, 12)} is ${spoken[verdict]}`;
    events.record({
      kind: `rollout.${verdict}`,
      app,
      target: app,
      message: reason === "" ? message : `${message}: ${reason}`,
      fields: { revision, durationMs },
    });
    // Who comes after it may go on.
    if (enforcement.isBehind()) wake("verdict reached");
  }
}

const spoken: Readonly<Record<Verdict, string>> = {
  pending: "pending",
  healthy: "healthy",
  failed: "failed",
  "rolled-back": "rolled back",
};
