import { hasSameContent } from "../../manifests/canonical-json.ts";
import type { App, DesiredState } from "../../manifests/desired-state.ts";
import {
  renamedApp,
  type WantedApp,
  type WantedContainer,
  type WantedState,
  wantedApp,
} from "../plan/wanted-state.ts";
import type { CommitSummary } from "../store/deploy-record.ts";
import type { EnforcedApp, Quarantine, SinceMs } from "../store/rollout-store.ts";
import type { RunSource } from "../store/run-store.ts";
import type { StateStore } from "../store/state-store.ts";
import type { RolloutLog } from "./rollout-log.ts";

/** What becomes of the held apps, in one transaction. */
export type Enforced = {
  /** Apps whose definition changes: a rollout of each begins. */
  readonly begun: readonly EnforcedApp[];
  /** Apps that a newer revision says the same of. */
  readonly renamed: readonly EnforcedApp[];
  readonly removed: readonly string[];
  readonly nowMs: number;
};

/** One app goes (back) to a definition that git does not want now. */
export type Return = {
  readonly app: string;
  /** Undefined: it is not held any more. */
  readonly target: EnforcedApp | undefined;
  readonly cause: "rollback" | "by-hand";
  /** Why what git wants is not tried again until the ref moves; undefined: it is what git wants. */
  readonly quarantine: Quarantine | undefined;
  readonly nowMs: number;
};

/**
 * Two things that differ while a revision is on its way: the revision that git wants, and for each app what is held
 * on this host. An app moves from one to the other when everything it needs is there; until then its last good
 * definition is kept alive. What failed here is held back until the ref moves.
 */
export class Enforcement {
  readonly #state: StateStore;
  readonly #rollouts: RolloutLog;
  readonly #enforced: Map<string, EnforcedApp>;
  #suspended: ReadonlyMap<string, SinceMs>;
  #quarantines: ReadonlyMap<string, Quarantine>;
  #desired: DesiredState | undefined;
  #behind = true;
  #wanted: WantedState = { apps: [] };
  #byName: ReadonlyMap<string, WantedContainer> = new Map();

  constructor(state: StateStore, rollouts: RolloutLog) {
    this.#state = state;
    this.#rollouts = rollouts;
    this.#enforced = new Map(state.enforcedApps().map((entry) => [entry.app.name, entry]));
    this.#suspended = state.suspended();
    this.#quarantines = this.#readQuarantines();
    const wanted = state.fact("revision.wanted");
    this.#desired = wanted === undefined ? undefined : state.revision(wanted);
    this.#rebuild([...this.#enforced.keys()]);
  }

  /** The newest valid revision; undefined before the first one. */
  desired(): DesiredState | undefined {
    return this.#desired;
  }

  accept(desired: DesiredState, commit: CommitSummary, nowMs: number): void {
    this.#state.acceptRevision(desired, { acceptedAtMs: nowMs, commit });
    this.#quarantines = this.#readQuarantines();
    this.#desired = desired;
    this.#behind = true;
  }

  apps(): readonly EnforcedApp[] {
    return [...this.#enforced.values()];
  }

  app(name: string): EnforcedApp | undefined {
    return this.#enforced.get(name);
  }

  /** What is held on this host, expanded; the same object until it changes. */
  wanted(): WantedState {
    return this.#wanted;
  }

  container(name: string): WantedContainer | undefined {
    return this.#byName.get(name);
  }

  /** True until everything of the newest revision is held here, or held back. */
  isBehind(): boolean {
    return this.#behind;
  }

  /** All apps of the newest revision are held or held back, and no other. */
  settle(): void {
    this.#behind = false;
  }

  /** Why the newest revision of an app is not tried (again). */
  quarantine(app: string): Quarantine | undefined {
    return this.#quarantines.get(app);
  }

  quarantines(): readonly Quarantine[] {
    return [...this.#quarantines.values()];
  }

  /** Whether some app was taken back from this revision. */
  isHeldBack(revision: string): boolean {
    return this.quarantines().some((held) => held.revision === revision);
  }

  isSuspended(app: string): boolean {
    return this.#suspended.has(app) || this.#suspended.has("");
  }

  /** App -> since when an operator has left it alone; `""`: every app at once. */
  suspensions(): ReadonlyMap<string, SinceMs> {
    return this.#suspended;
  }

  /** `""`: every app. Durable. */
  suspend(app: string, nowMs: number): void {
    this.#state.suspend(app, nowMs);
    this.#suspended = this.#state.suspended();
  }

  /** Also lets what is held back be tried again. `""`: of every app. */
  resume(app: string): void {
    this.#state.unsuspend(app);
    this.#suspended = this.#state.suspended();
    for (const held of this.#quarantines.keys()) {
      if (app === "" || app === held) this.#state.liftQuarantine(held);
    }
    this.#quarantines = this.#readQuarantines();
    this.#behind = true;
  }

  /** A tag moved: apps that watch it are looked at again, also those whose newest revision failed with the old image. */
  reconsider(apps: readonly string[]): void {
    for (const app of apps) this.#state.liftQuarantine(app);
    this.#quarantines = this.#readQuarantines();
    this.#behind = true;
  }

  /** An operator ran it: no commit takes it away, until git takes it over or an operator removes it. */
  isByHand(app: string): boolean {
    return this.#enforced.has(app) && this.#rollouts.newest(app)?.cause === "run";
  }

  /** It is held from now on, whatever git says. */
  run(
    entry: EnforcedApp,
    source: RunSource,
    { ends, nowMs }: { readonly ends: boolean; readonly nowMs: number },
  ): void {
    const { name } = entry.app;
    this.#write([entry], [], () => {
      this.#state.putRun(name, source, { ends });
      this.#rollouts.begin(entry, "run", nowMs);
    });
    this.#enforced.set(name, entry);
    this.#rebuild([name]);
  }

  promote({ begun, renamed, removed, nowMs }: Enforced): void {
    const changed = [...begun, ...renamed];
    if (changed.length === 0 && removed.length === 0) return;
    this.#write(changed, removed, () => {
      for (const entry of begun) this.#rollouts.begin(entry, this.#causeOf(entry), nowMs);
      for (const app of removed) this.#rollouts.forget(app);
      for (const app of [...begun.map(({ app: { name } }) => name), ...removed]) {
        this.#state.forgetRun(app);
      }
    });
    for (const entry of changed) this.#enforced.set(entry.app.name, entry);
    for (const name of removed) this.#enforced.delete(name);
    this.#rebuild(
      begun.map(({ app }) => app.name),
      renamed.map(({ app }) => app.name),
    );
  }

  /** Several apps in one transaction, in which `also` gives the rollouts that they come from their verdict. */
  goBack(returns: readonly Return[], also: () => void = () => {}): void {
    const targets = returns.flatMap(({ target }) => target ?? []);
    const removed = returns.filter(({ target }) => target === undefined).map(({ app }) => app);
    this.#write(targets, removed, () => {
      also();
      for (const { app, target, cause, quarantine, nowMs } of returns) {
        if (quarantine === undefined) this.#state.liftQuarantine(app);
        else this.#state.putQuarantine(quarantine);
        if (target !== undefined) this.#rollouts.begin(target, cause, nowMs);
      }
    });
    for (const target of targets) this.#enforced.set(target.app.name, target);
    for (const app of removed) this.#enforced.delete(app);
    this.#quarantines = this.#readQuarantines();
    this.#behind = true;
    this.#rebuild(targets.map(({ app }) => app.name));
  }

  /** The same definition again can only have another image. */
  #causeOf({ app }: EnforcedApp): "commit" | "image" {
    const held = this.isByHand(app.name) ? undefined : this.#enforced.get(app.name);
    return held !== undefined && isSameApp(held.app, app) ? "image" : "commit";
  }

  #write(targets: readonly EnforcedApp[], removed: readonly string[], also: () => void): void {
    try {
      this.#state.setEnforcedApps(targets, removed, also);
    } catch (error) {
      this.#rollouts.reload();
      throw error;
    }
  }

  #readQuarantines(): ReadonlyMap<string, Quarantine> {
    return new Map(this.#state.quarantines().map((entry) => [entry.app, entry]));
  }

  #rebuild(changed: readonly string[], renamed: readonly string[] = []): void {
    const known = new Map(this.#wanted.apps.map((app) => [app.name, app]));
    const apps: WantedApp[] = [];
    for (const [name, enforced] of this.#enforced) {
      const cached = changed.includes(name) ? undefined : known.get(name);
      if (cached !== undefined) {
        apps.push(renamed.includes(name) ? renamedApp(cached, enforced.revision) : cached);
        continue;
      }
      const cause = this.#rollouts.newest(name)?.cause ?? "commit";
      const isGoingBack = cause !== "commit" && cause !== "run";
      apps.push({ ...wantedApp(enforced), isGoingBack });
    }
    this.#wanted = { apps };
    this.#byName = new Map(
      apps.flatMap((app) => app.containers).map((container) => [container.name, container]),
    );
  }
}

/** True when two definitions say the same, whatever the order of their keys. */
export function isSameApp(a: App, b: App): boolean {
  return hasSameContent(a, b);
}
