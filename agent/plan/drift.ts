import type { KernelDrift } from "../../runtime/runtime.ts";
import type { ActualState } from "../observe.ts";

/**
 * Pure. What differs, without what concerns a container of an app that is left alone, or a bridge of one that an operator
 * suspended: others' bridges are put back at once, also for those that are under way.
 */
export function driftOutside(
  actual: ActualState,
  isLeftAlone: (app: string) => boolean,
  isSuspended: (app: string) => boolean,
): readonly KernelDrift[] {
  const leftAlone = new Set(
    actual.containers.filter(({ app }) => isLeftAlone(app)).map(({ id }) => id),
  );
  const bridges = new Set(
    actual.networks.filter(({ app }) => isSuspended(app)).map(({ bridge }) => bridge),
  );
  return actual.drift.filter(
    ({ container = "", target }) => !leftAlone.has(container) && !bridges.has(target),
  );
}

/** True for what is put right by starting the container anew: what its namespaces lost they get at a start only. */
export function needsRestart({ kind }: KernelDrift): boolean {
  return restarting.has(kind);
}

const restarting: ReadonlySet<KernelDrift["kind"]> = new Set([
  "mount-missing",
  "mount-changed",
  "address-missing",
  "address-changed",
]);
