import type { PortBinding } from "../../runtime/container-spec.ts";
import type { ActualContainer, ActualState } from "../observe.ts";
import type { ContainerChange } from "./container-change.ts";
import type { Difference } from "./diff.ts";
import { overlaps } from "./port-overlap.ts";
import type { WantedState } from "./wanted-state.ts";

/** Apps that cannot go on because another, which is not looked at now, still has one of their ports: app -> why. */
export type Blocked = ReadonlyMap<string, string>;

/**
 * Pure. The part of a difference that may be worked on now: what belongs to an app in scope (`""`: the host), apps left
 * out whose port is still published by a container of an app out of scope, or by one that an update policy keeps for now.
 */
export function withinScope(options: {
  readonly difference: Difference;
  readonly actual: ActualState;
  readonly isInScope: (app: string) => boolean;
  /** Its steps are being applied: what its containers do not publish yet they may in a moment. */
  readonly isUnderWay: (app: string) => boolean;
}): { readonly difference: Difference; readonly blocked: Blocked } {
  const { difference, actual, isInScope, isUnderWay } = options;
  const blocked = new Map<string, string>();
  const held = new Set(difference.held);
  const isFree = (app: string) => isInScope(app) && !blocked.has(app);
  // Who is left out holds its own ports, which may block the next one.
  for (let before = -1; before < blocked.size; ) {
    before = blocked.size;
    for (const change of difference.containers) {
      const app = appOf(change);
      if (change.kind === "remove" || !isFree(app)) continue;
      const holder = holderOf({
        ports: change.wanted.spec.ports,
        containers: actual.containers.filter(
          (one) => one.app !== app && (!isFree(one.app) || held.has(one)),
        ),
        isUnderWay,
      });
      if (holder !== undefined) blocked.set(app, holder);
    }
  }
  // Of its own app only the change waits: the app has to go on for the port to become free.
  const isHeldUp = (change: ContainerChange) =>
    change.kind !== "remove" &&
    holderOf({
      ports: change.wanted.spec.ports,
      containers: difference.held.filter(({ name }) => name !== change.wanted.name),
      isUnderWay,
    }) !== undefined;
  return {
    blocked,
    difference: {
      held: difference.held,
      heldUntilMs: difference.heldUntilMs,
      containers: difference.containers.filter(
        (change) => isFree(appOf(change)) && !isHeldUp(change),
      ),
      networks: difference.networks.filter(({ app }) => isFree(app)),
      volumes: difference.volumes.filter(({ app }) => isFree(app)),
      drift: isInScope("") ? difference.drift : [],
    },
  };
}

function holderOf(options: {
  readonly ports: readonly PortBinding[];
  readonly containers: readonly ActualContainer[];
  readonly isUnderWay: (app: string) => boolean;
}): string | undefined {
  const { ports, containers, isUnderWay } = options;
  for (const { name, app, status, restartPending } of containers) {
    const mayPublish = isUnderWay(app) || restartPending;
    const taken = mayPublish ? status.spec.ports : status.publishedPorts;
    const port = taken.find((held) => ports.some((one) => overlaps(held, one)));
    if (port === undefined) continue;
    return `waiting for ${name} to let go of port ${port.hostPort}/${port.protocol}`;
  }
  return undefined;
}

function appOf(change: ContainerChange): string {
  return change.kind === "remove" ? change.actual.app : change.wanted.app;
}

/** All that a plan may have steps for. */
export function appsOf(wanted: WantedState, actual: ActualState): string[] {
  const names = [...wanted.apps, ...actual.containers.map(({ app }) => ({ name: app }))];
  const networks = actual.networks.map(({ app }) => app);
  return [...new Set(["", ...names.map(({ name }) => name), ...networks])];
}
