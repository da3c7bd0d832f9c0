import type { ContainerStatus } from "../runtime/runtime.ts";
import { changedAtMs } from "./rollout/readiness.ts";

/**
 * Containers that were seen running before the moment at which they seem to have been started, because the clock was set back
 * since. They count as up, also when the clock comes by that moment again.
 */
export class EarlyStarts {
  /** Container id -> the moment, in Unix milliseconds. */
  #seen: ReadonlyMap<string, number> = new Map();

  /** To be called with all containers whenever they were looked at. */
  look(statuses: readonly ContainerStatus[], nowMs: number): void {
    this.#seen = new Map(
      statuses.flatMap((status): [string, number][] => {
        const sinceMs = changedAtMs(status);
        if (status.state !== "running" || sinceMs === undefined) return [];
        const { id } = status.spec;
        return sinceMs > nowMs || this.#seen.get(id) === sinceMs ? [[id, sinceMs]] : [];
      }),
    );
  }

  has(id: string): boolean {
    return this.#seen.has(id);
  }
}
