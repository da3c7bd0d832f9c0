import { canonicalJson } from "../manifests/canonical-json.ts";
import type { App, DesiredState } from "../manifests/desired-state.ts";
import type { EnforcedApp, StateStore } from "./store/state-store.ts";
import {
  type WantedApp,
  type WantedContainer,
  type WantedState,
  wantedApp,
} from "./wanted-state.ts";

/**
 * Two things that differ while a revision is on its way: the revision that git wants, and for each app what is held
 * on this host. An app moves from one to the other when everything it needs is there; until then its last good
 * definition is kept alive.
 */
export class Enforcement {
  readonly #state: StateStore;
  readonly #enforced: Map<string, EnforcedApp>;
  #desired: DesiredState | undefined;
  #behind = true;
  #wanted: WantedState = { apps: [] };
  #byName: ReadonlyMap<string, WantedContainer> = new Map();

  constructor(state: StateStore) {
    this.#state = state;
    this.#enforced = new Map(state.enforcedApps().map((entry) => [entry.app.name, entry]));
    const wanted = state.fact("revision.wanted");
    this.#desired = wanted === undefined ? undefined : state.revision(wanted);
    this.#rebuild([...this.#enforced.keys()]);
  }

  /** The newest valid revision; undefined before the first one. */
  desired(): DesiredState | undefined {
    return this.#desired;
  }

  accept(desired: DesiredState, nowMs: number): void {
    this.#state.acceptRevision(desired, nowMs);
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

  /** True until everything of the newest revision is held here. */
  isBehind(): boolean {
    return this.#behind;
  }

  /** All apps of the newest revision are held, and no other. */
  settle(): void {
    this.#behind = false;
  }

  promote(changed: readonly EnforcedApp[], removed: readonly string[]): void {
    if (changed.length === 0 && removed.length === 0) return;
    this.#state.setEnforcedApps(changed, removed);
    for (const entry of changed) this.#enforced.set(entry.app.name, entry);
    for (const name of removed) this.#enforced.delete(name);
    this.#rebuild(changed.map(({ app }) => app.name));
  }

  #rebuild(changed: readonly string[]): void {
    const known = new Map(this.#wanted.apps.map((app) => [app.name, app]));
    const apps: WantedApp[] = [];
    for (const [name, enforced] of this.#enforced) {
      const cached = changed.includes(name) ? undefined : known.get(name);
      apps.push(cached ?? wantedApp(enforced));
    }
    this.#wanted = { apps };
    this.#byName = new Map(
      apps.flatMap((app) => app.containers).map((container) => [container.name, container]),
    );
  }
}

/** True when two definitions say the same, whatever the order of their keys. */
export function isSameApp(a: App, b: App): boolean {
  return canonicalJson(a) === canonicalJson(b);
}
