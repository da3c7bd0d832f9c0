import { canonicalJson } from "../manifests/canonical-json.ts";
import type { KernelDrift, NetworkSpec, VolumeSpec } from "../runtime/runtime.ts";
import type { FieldChange } from "./control.ts";
import { specChanges } from "./field-changes.ts";
import type { ActualContainer, ActualNetwork, ActualState } from "./observe.ts";
import { decideRestart } from "./restart-policy.ts";
import type { WantedApp, WantedContainer, WantedState } from "./wanted-state.ts";

type Reason = { readonly reason: readonly FieldChange[] };

export type ContainerChange =
  | ({
      readonly kind: "create";
      readonly wanted: WantedContainer;
      /** false: an operator had stopped it. */
      readonly start: boolean;
    } & Reason)
  | ({
      readonly kind: "recreate";
      readonly wanted: WantedContainer;
      readonly actual: ActualContainer;
    } & Reason)
  | ({
      /** `restart` stops it first. */
      readonly kind: "start" | "restart";
      readonly wanted: WantedContainer;
      readonly actual: ActualContainer;
    } & Reason)
  | ({ readonly kind: "remove"; readonly actual: ActualContainer } & Reason);

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
};

/** Pure. Volumes are only ever added: data outlives the service that wrote it. */
export function diffState(wanted: WantedState, actual: ActualState): Difference {
  const networks = diffNetworks(wanted, actual);
  const changedNetworks = new Set(
    networks.filter(({ kind }) => kind === "recreate").map(({ network }) => network.name),
  );
  const byName = new Map(actual.containers.map((container) => [container.name, container]));
  const containers: ContainerChange[] = [];
  const kept = new Set<string>();
  for (const app of wanted.apps) {
    const changes = diffApp({ app, actual, byName, changedNetworks });
    for (const container of app.containers) {
      const id = byName.get(container.name)?.id;
      if (id !== undefined) kept.add(id);
    }
    containers.push(...changes);
  }
  for (const container of actual.containers) {
    if (kept.has(container.id)) continue;
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
  return { containers, networks, volumes, drift: actual.drift };
}

/** What the operator did by hand is valid for as long as the service stays the same. */
export function isStoppedByHand(wanted: WantedContainer, byHand: ActualState["byHand"]): boolean {
  const mark = byHand.get(wanted.name);
  return (
    mark !== undefined &&
    mark.specDigest === wanted.specDigest &&
    (mark.action === "stop" || mark.action === "kill")
  );
}

function diffApp(options: {
  readonly app: WantedApp;
  readonly actual: ActualState;
  readonly byName: ReadonlyMap<string, ActualContainer>;
  readonly changedNetworks: ReadonlySet<string>;
}): ContainerChange[] {
  const { app, actual, byName, changedNetworks } = options;
  const changes: ContainerChange[] = [];
  for (const wanted of app.containers) {
    const container = byName.get(wanted.name);
    const change =
      container === undefined
        ? diffMissing(wanted, actual)
        : diffPresent({ wanted, container, actual, changedNetworks });
    if (change !== undefined) changes.push(change);
  }
  return [...changes, ...dependentRestarts({ app, changes, byName })];
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
  if (container.specDigest !== wanted.specDigest) {
    const found = specChanges(container.status.spec, wanted.spec);
    const digests = { field: "specDigest", from: container.specDigest, to: wanted.specDigest };
    const reason = found.length === 0 ? [digests] : found;
    return { kind: "recreate", wanted, actual: container, reason };
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
  return diffLife({ wanted, container, actual });
}

/** Same spec: is it alive, and if not, should it be? */
function diffLife(options: {
  readonly wanted: WantedContainer;
  readonly container: ActualContainer;
  readonly actual: ActualState;
}): ContainerChange | undefined {
  const { wanted, container, actual } = options;
  const { state, exit } = container.status;
  const reason = [{ field: "state", from: state, to: "running" }];
  if (state === "running" || state === "paused") return undefined;
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

/**
 * `depends_on: {x: {restart: true}}`: whoever started before its dependency was made anew is started again. Read
 * from times rather than from this plan's changes, so that a crash in between forgets nothing.
 */
function dependentRestarts(options: {
  readonly app: WantedApp;
  readonly changes: readonly ContainerChange[];
  readonly byName: ReadonlyMap<string, ActualContainer>;
}): ContainerChange[] {
  const { app, changes, byName } = options;
  const changed = new Set(
    changes.map((change) => (change.kind === "remove" ? change.actual.name : change.wanted.name)),
  );
  const restarts: ContainerChange[] = [];
  for (const wanted of app.containers) {
    const container = byName.get(wanted.name);
    if (container?.status.state !== "running" || changed.has(wanted.name)) continue;
    const startedAtMs = container.status.startedAtMs ?? 0;
    const newer = Object.entries(wanted.service.dependsOn)
      .filter(([, dependency]) => dependency.restart)
      .map(([service]) => service)
      .filter((service) =>
        app.containers.some(
          (other) =>
            other.service.name === service &&
            (changes.some((change) => change.kind === "recreate" && change.wanted === other) ||
              (byName.get(other.name)?.status.createdAtMs ?? 0) > startedAtMs),
        ),
      );
    if (newer.length === 0) continue;
    const reason = newer.map((service) => ({
      field: `depends_on.${service}`,
      from: "earlier container",
      to: "recreated",
    }));
    restarts.push({ kind: "restart", wanted, actual: container, reason });
  }
  return restarts;
}

function reservesOther(found: NetworkSpec, wanted: NetworkSpec): boolean {
  return canonicalJson(found.ipam?.reserved ?? []) !== canonicalJson(wanted.ipam?.reserved ?? []);
}

/** What is reserved is taken over as it is; the rest makes another network. */
function addressChanges(found: NetworkSpec, wanted: NetworkSpec): FieldChange[] {
  return (["subnet", "gateway", "range"] as const).flatMap((field) => {
    const [from = null, to = null] = [found.ipam?.[field], wanted.ipam?.[field]];
    return from === to ? [] : [{ field: `ipam.${field}`, from, to }];
  });
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
