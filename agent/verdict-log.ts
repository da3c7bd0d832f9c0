import type { Core } from "./core.ts";
import type { Promotion } from "./promotion.ts";
import type { DeployRecord } from "./store/state-store.ts";
import type { AppEvaluation } from "./verdict.ts";
import type { WantedApp } from "./wanted-state.ts";

/** Writes down what was deployed and how it ended: one record for each app and revision that changed it. */
export class VerdictLog {
  readonly #core: Pick<Core, "state" | "events" | "clock" | "enforcement" | "log">;
  readonly #deploys: Map<string, DeployRecord>;

  constructor(core: Pick<Core, "state" | "events" | "clock" | "enforcement" | "log">) {
    this.#core = core;
    // In order of time: the last one of each app stays.
    this.#deploys = new Map(core.state.deploys().map((deploy) => [deploy.app, deploy]));
  }

  /** True when what is held of the app was healthy at some time. */
  wasHealthy(app: string): boolean {
    return this.#deploys.get(app)?.verdict === "healthy";
  }

  promoted({ promoted, removed }: Promotion): void {
    const { events, clock, log } = this.#core;
    for (const { app, revision } of promoted) {
      this.#write({
        app: app.name,
        revision,
        startedAtMs: clock.now(),
        finishedAtMs: null,
        verdict: "pending",
        reason: "",
      });
      log.info("rollout begins", { app: app.name, revision });
      const message = `${app.name} moves to ${revision.slice(0, 12)}`;
      const fields = { revision };
      events.record({ kind: "rollout.started", app: app.name, target: app.name, message, fields });
    }
    for (const app of removed) {
      this.#deploys.delete(app);
      log.info("app left git", { app });
      const message = `${app} left git and is removed`;
      events.record({ kind: "app.removed", app, target: app, message });
    }
  }

  /** The first good verdict of a revision stays; a bad one may still turn good. */
  judged(app: WantedApp, { verdict, reason }: AppEvaluation): void {
    const { events, clock, log } = this.#core;
    const known = this.#deploys.get(app.name);
    if (known === undefined || verdict === "pending" || known.verdict === "healthy") return;
    if (known.verdict === verdict && known.reason === reason) return;
    this.#write({ ...known, finishedAtMs: clock.now(), verdict, reason });
    if (known.verdict === verdict) return;
    log.info("verdict", { app: app.name, revision: known.revision, verdict, reason });
    const message = `${app.name} at ${known.revision.slice(0, 12)} is ${verdict}`;
    events.record({
      kind: `rollout.${verdict}`,
      app: app.name,
      target: app.name,
      message: reason === "" ? message : `${message}: ${reason}`,
      fields: { revision: known.revision, durationMs: clock.now() - known.startedAtMs },
    });
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

  #write(deploy: DeployRecord): void {
    this.#deploys.set(deploy.app, deploy);
    this.#core.state.recordDeploy(deploy);
  }
}
