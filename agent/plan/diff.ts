import { hasSameContent } from "../../manifests/canonical-json.ts";
import type { KernelDrift, NetworkSpec, VolumeSpec } from "../../runtime/runtime.ts";
import type { FieldChange } from "../control/control.ts";
import type { ActualContainer, ActualNetwork, ActualState } from "../observe.ts";
import { dependentRestarts } from "../restart/dependent-restarts.ts";
import { decideRestart } from "../restart/restart-policy.ts";
import type { ContainerChange, Reason } from "./container-change.ts";
import { needsRestart } from "./drift.ts";
import { specChanges } from "./field-changes.ts";
import { type MatchReplica, matchReplicas } from "./match-replicas.ts";
import { paceUpdates } from "./pace-updates.ts";
import { reloadOf } from "./reload.ts";
import { updatePolicyOf } from "./update-policy.ts";
import type { WantedApp, WantedContainer, WantedState } from "./wanted-state.ts";

export type NetworkChange = {
  readonly kind: "create" | "recreate" | "remove";
  readonly app: string;
  readonly network: NetworkSpec;
} & Reason;

/** Everything in which the host differs from what is wanted. Empty lists: nothing to do. */
export type Difference = {
  readonly containers: readonly ContainerChange[];
  readonly networks: readonly NetworkChange[];
  readonly volumes: readonly ({ readonly app: string; readonly volume: VolumeSpec } & Reason)[];
  readonly drift: readonly KernelDrift[];
  /** What an update policy keeps as it is for now, with its ports. */
  readonly held: readonly ActualContainer[];
  /** When more of it may be looked at, where only time keeps it back. */
  readonly heldUntilMs: number | undefined;
};

/** Pure. Volumes are only ever added: data outlives the service that wrote it. */
export function diffState(wanted: WantedState, actual: ActualState, nowMs: number): Difference {
  const networks = diffNetworks(wanted, actual);
  const changedNetworks = new Set(
    networks.filter(({ kind }) => kind === "recreate").map(({ network }) => network.name),
  );
  const match = matchReplicas(actual);
  const containers: ContainerChange[] = [];
  const names = new Set<string>();
  const held: ActualContainer[] = [];
  let heldUntilMs: number | undefined;
  for (const app of wanted.apps) {
    const changes = diffApp({ app, actual, match, changedNetworks });
    const paced = paceUpdates({ app, changes, match, nowMs });
    containers.push(...paced.changes);
    held.push(...paced.held);
    if (paced.heldUntilMs !== undefined) {
      heldUntilMs = Math.min(heldUntilMs ?? Infinity, paced.heldUntilMs);
    }
    for (const { name } of app.containers) names.add(name);
  }
  for (const container of actual.containers) {
    if (names.has(container.name)) continue;
    const reason = [{ field: "container", from: container.name, to: null }];
    containers.push({ kind: "remove", actual: container, reason });
  }
  const present = new Set(actual.volumes.map(({ name }) => name));
  const volumes = wanted.apps.flatMap((app) =>
    app.volumes
      .filter(({ name }) => !present.has(name))
      .map((volume) => ({
        app: app.name,
        volume,
        reason: [{ field: "volume", from: null, to: volume.name }],
      })),
  );
  const drift = actual.drift.filter((found) => !needsRestart(found));
  return { containers, networks, volumes, drift, held, heldUntilMs };
}

/** What the operator did by hand is valid for as long as the service stays the same. */
export function isStoppedByHand(wanted: WantedContainer, byHand: ActualState["byHand"]): boolean {
  const mark = byHand.get(wanted.name);
  return (
    mark !== undefined &&
    mark.specDigest === wanted.specDigest &&
    (mark.action === "stop" || mark.action === "kill" || mark.action === "hold")
  );
}

function diffApp(options: {
  readonly app: WantedApp;
  readonly actual: ActualState;
  readonly match: MatchReplica;
  readonly changedNetworks: ReadonlySet<string>;
}): ContainerChange[] {
  const { app, actual, match, changedNetworks } = options;
  const changes: ContainerChange[] = [];
  for (const wanted of app.containers) {
    const { current, others } = match(wanted);
    if (others.length > 0) {
      changes.push(...diffOthers({ app, wanted, current, others, actual, changedNetworks }));
      continue;
    }
    const change =
      current === undefined
        ? diffMissing(wanted, actual)
        : diffPresent({ wanted, container: current, actual, changedNetworks });
    if (change !== undefined) changes.push(change);
  }
  return [...changes, ...dependentRestarts({ app, changes, match })];
}

/** Some container of its name is another than is wanted. */
function diffOthers(options: {
  readonly app: WantedApp;
  readonly wanted: WantedContainer;
  readonly current: ActualContainer | undefined;
  readonly others: readonly ActualContainer[];
  readonly actual: ActualState;
  readonly changedNetworks: ReadonlySet<string>;
}): ContainerChange[] {
  const { app, wanted, current, others, actual, changedNetworks } = options;
  const [first, ...rest] = others;
  if (first === undefined) return [];
  const reason = changesOf(wanted, first);
  if (current !== undefined) {
    const start = diffLife({ wanted, container: current, actual })?.kind === "start";
    return [{ kind: "replace", wanted, actual: current, start, others, reason }];
  }
  const isMoved = wanted.spec.networks.some(({ network }) => changedNetworks.has(network));
  const reload = rest.length > 0 || isMoved ? undefined : reloadOf(wanted, first);
  if (reload !== undefined) return [{ kind: "reload", wanted, actual: first, reload, reason }];
  if (startsFirst(app, wanted, first)) {
    return [{ kind: "replace", wanted, actual: undefined, start: true, others, reason }];
  }
  const surplus = rest.map((other): ContainerChange => ({ kind: "remove", actual: other, reason }));
  return [{ kind: "recreate", wanted, actual: first, reason }, ...surplus];
}

function changesOf(wanted: WantedContainer, container: ActualContainer): readonly FieldChange[] {
  const found = specChanges(container.status.spec, wanted.spec);
  const digests = { field: "specDigest", from: container.specDigest, to: wanted.specDigest };
  return found.length === 0 ? [digests] : found;
}

/** Not where the two would need the same fixed thing: an address, or a namespace with ports of its own. */
function startsFirst(app: WantedApp, wanted: WantedContainer, container: ActualContainer): boolean {
  const { service, spec } = wanted;
  const isFixed = Object.values(service.endpoints ?? {}).some(
    ({ ipv4Address, macAddress }) => ipv4Address !== undefined || macAddress !== undefined,
  );
  return (
    updatePolicyOf(app, service)?.order === "start-first" &&
    container.status.state === "running" &&
    !isFixed &&
    (spec.namespaces?.network ?? "private") === "private"
  );
}

function diffMissing(wanted: WantedContainer, actual: ActualState): ContainerChange | undefined {
  // A job that ended well before a reboot does not run again.
  if (actual.completed.get(wanted.name) === wanted.specDigest) return undefined;
  const reason = [{ field: "container", from: null, to: wanted.name }];
  return { kind: "create", wanted, start: !isStoppedByHand(wanted, actual.byHand), reason };
}

function diffPresent(options: {
  readonly wanted: WantedContainer;
  readonly container: ActualContainer;
  readonly actual: ActualState;
  readonly changedNetworks: ReadonlySet<string>;
}): ContainerChange | undefined {
  const { wanted, container, actual, changedNetworks } = options;
  if (container.status.isHeldBack === true) {
    const reason = [{ field: "isHeldBack", from: true, to: false }];
    const start = diffLife({ wanted, container, actual })?.kind === "start";
    return { kind: "replace", wanted, actual: container, start, others: [], reason };
  }
  const moved = wanted.spec.networks.filter(({ network }) => changedNetworks.has(network));
  if (moved.length > 0) {
    const reason = moved.map(({ network }) => ({
      field: `networks.${network}`,
      from: "changed",
      to: network,
    }));
    return { kind: "recreate", wanted, actual: container, reason };
  }
  return diffReload(wanted, container) ?? diffLife({ wanted, container, actual });
}

/** Its spec is as wanted, what it sees may not be. */
function diffReload(
  wanted: WantedContainer,
  container: ActualContainer,
): ContainerChange | undefined {
  const { reload: state } = container.status;
  if (state === undefined) return undefined;
  const from = state === "pending" ? "partly replaced" : "not replaced";
  const reason = [{ field: "mounts", from, to: "replaced" }];
  const reload = reloadOf(wanted, container);
  if (reload === undefined) return { kind: "recreate", wanted, actual: container, reason };
  return { kind: "reload", wanted, actual: container, reload, reason };
}

/** Same spec: is it alive, and if not, should it be? */
function diffLife(options: {
  readonly wanted: WantedContainer;
  readonly container: ActualContainer;
  readonly actual: ActualState;
}): ContainerChange | undefined {
  const { wanted, container, actual } = options;
  const { id, status } = container;
  const { state, exit } = status;
  const reason = [{ field: "state", from: state, to: "running" }];
  if (state === "running") {
    const lost = actual.drift.filter((drift) => needsRestart(drift) && drift.container === id);
    const changes = lost.map(({ field, from, to }) => ({ field, from, to }));
    return lost.length > 0
      ? { kind: "restart", wanted, actual: container, reason: changes }
      : undefined;
  }
  if (state === "paused") return undefined;
  if (state === "dead") return { kind: "recreate", wanted, actual: container, reason };
  if (isStoppedByHand(wanted, actual.byHand) || container.restartPending) return undefined;
  if (actual.completed.get(wanted.name) === wanted.specDigest) return undefined;
  if (state === "created" || container.lostAtBoot) {
    return { kind: "start", wanted, actual: container, reason };
  }
  const { restart } = decideRestart({
    policy: wanted.service.restart,
    exit: exit ?? { oomKilled: false, finishedAtMs: 0 },
    restarts: container.restarts,
    ranForMs: 0,
  });
  return restart ? { kind: "start", wanted, actual: container, reason } : undefined;
}

function diffNetworks(wanted: WantedState, actual: ActualState): NetworkChange[] {
  const changes: NetworkChange[] = [];
  const present = new Map<string, ActualNetwork>(actual.networks.map((item) => [item.name, item]));
  for (const app of wanted.apps) {
    for (const network of app.networks) {
      const found = present.get(network.name);
      present.delete(network.name);
      if (found === undefined) {
        const reason = [{ field: "network", from: null, to: network.name }];
        changes.push({ kind: "create", app: app.name, network, reason });
      } else if (found.internal !== network.internal) {
        const reason = [{ field: "internal", from: found.internal, to: network.internal }];
        changes.push({ kind: "recreate", app: app.name, network, reason });
      } else {
        const reason = addressChanges(found, network);
        if (reason.length > 0) changes.push({ kind: "recreate", app: app.name, network, reason });
        else if (reservesOther(found, network)) {
          const [from, to] = [found.ipam?.reserved ?? null, network.ipam?.reserved ?? null];
          const change = { field: "ipam.reserved", from, to };
          changes.push({ kind: "create", app: app.name, network, reason: [change] });
        }
      }
    }
  }
  for (const network of present.values()) {
    const reason = [{ field: "network", from: network.name, to: null }];
    changes.push({ kind: "remove", app: network.app, network, reason });
  }
  return changes;
}

function reservesOther(found: NetworkSpec, wanted: NetworkSpec): boolean {
  return !hasSameContent(found.ipam?.reserved ?? [], wanted.ipam?.reserved ?? []);
}

/** What is reserved is taken over as it is; the rest makes another network. */
function addressChanges(found: NetworkSpec, wanted: NetworkSpec): FieldChange[] {
  return (["subnet", "gateway", "range"] as const).flatMap((field) => {
    const [from = null, to = null] = [found.ipam?.[field], wanted.ipam?.[field]];
    return from === to ? [] : [{ field: `ipam.${field}`, from, to }];
  });
}
