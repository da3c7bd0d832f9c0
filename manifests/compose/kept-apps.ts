import { type LoadedApp, type LoadRequest, loadApp } from "./load-app.ts";
import { hasSameVariables, type Loading, loadRecorded, replay, sourceKey } from "./recorded-app.ts";
import { askAgain } from "./recorded-trees.ts";

/**
 * Loads the apps of one revision after the other for one host. An app is loaded again only when something it was made of is
 * another one: a file, a variable, what `berth.yaml` says of it, a tree that it mounts.
 */
export class KeptApps {
  #kept: ReadonlyMap<string, Loading> = new Map();
  #next = new Map<string, Loading>();
  #bytes = 0;

  /** To be called before the apps of a revision are loaded. What the last revision did not load is forgotten. */
  begin(): void {
    this.#kept = this.#next;
    this.#next = new Map();
    this.#bytes = 0;
  }

  /** True when `load` will most likely read none of its files. */
  holds(request: Pick<LoadRequest, "source" | "host" | "reader">): boolean {
    return this.#find(request) !== undefined;
  }

  /** As `loadApp`. */
  async load(request: LoadRequest): Promise<LoadedApp | undefined> {
    if (request.reader.contentName === undefined) return loadApp(request);
    const kept = this.#find(request);
    if (kept !== undefined && (await askAgain(kept.trees, request.trees))) {
      const again = replay(kept, request);
      if (again !== undefined) {
        this.#keep(request, kept);
        return again.app;
      }
    }
    const loading = await loadRecorded(request);
    this.#keep(request, loading);
    return loading.app;
  }

  #find(request: Pick<LoadRequest, "source" | "host" | "reader">): Loading | undefined {
    const kept = this.#kept.get(keyOf(request));
    if (kept === undefined || !hasSameVariables(kept, request)) return undefined;
    const { reader } = request;
    const isSame = [...kept.files].every(([path, name]) => reader.contentName?.(path) === name);
    return isSame ? kept : undefined;
  }

  #keep(request: LoadRequest, loading: Loading): void {
    this.#bytes += loading.bytes;
    if (this.#bytes <= keptBytesMax) this.#next.set(keyOf(request), loading);
  }
}

/** Of Compose files; the documents that are kept take some twenty times as much memory. */
const keptBytesMax = 1024 * 1024;

function keyOf({ source, host }: Pick<LoadRequest, "source" | "host">): string {
  return JSON.stringify([sourceKey(source), host.name, [...host.labels]]);
}
