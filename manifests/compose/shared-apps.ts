import type { LoadedApp, LoadRequest } from "./load-app.ts";
import { hasSameVariables, type Loading, loadRecorded, replay, sourceKey } from "./recorded-app.ts";

/**
 * Loads the apps of one revision for one host after the other. An app that no answer would make another one is loaded
 * once: what was found in it is told to each host's report again, and counts against each host's budgets.
 */
export class SharedApps {
  /** By what a source says apart from its variables; the newest first. */
  readonly #known = new Map<string, readonly Loading[]>();

  /** As `loadApp`. */
  async load(request: LoadRequest): Promise<LoadedApp | undefined> {
    const key = sourceKey(request.source);
    const known = this.#known.get(key) ?? [];
    const same = known.find((each) => !each.isOfHost && hasSameVariables(each, request));
    const again = same === undefined ? undefined : replay(same, request);
    if (again !== undefined) return again.app;
    const loading = await loadRecorded(request);
    this.#known.set(key, [loading, ...known].slice(0, variantsKept));
    return loading.app;
  }
}

/** Apps that are another one on every host are not worth keeping. */
const variantsKept = 2;
