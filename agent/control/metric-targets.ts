import type { CgroupDirs, ContainerTarget } from "../../metrics/container-target.ts";
import type { CgroupHost } from "../../runtime/cgroups/cgroup-host.ts";
import { readContainerLabels } from "../container-labels.ts";
import type { ActualContainer } from "../observe.ts";
import type { ReconcileLoop } from "../reconcile.ts";

type Known = { readonly container: ActualContainer; readonly target: ContainerTarget };

/**
 * The containers of the last round as metrics read them. What did not change since the last call is the same object:
 * hundreds of targets would else be made, and told to the metrics thread, with each scrape.
 */
export function createMetricTargets(options: {
  readonly loop: Pick<ReconcileLoop, "last">;
  readonly cgroups: CgroupHost;
}): () => readonly ContainerTarget[] {
  const { loop, cgroups } = options;
  let containers: readonly ActualContainer[] = [];
  let known = new Map<string, Known>();
  let targets: readonly ContainerTarget[] = [];
  return () => {
    const now = loop.last?.actual.containers ?? [];
    if (now === containers) return targets;
    containers = now;
    known = new Map(
      now.map((container) => {
        const before = known.get(container.id);
        const isKept = before !== undefined && hasSameTarget(before.container, container);
        return [
          container.id,
          isKept ? before : { container, target: targetOf(cgroups, container) },
        ];
      }),
    );
    targets = [...known.values()].map(({ target }) => target);
    return targets;
  };
}

/** Compares all that `targetOf` reads. A container keeps the object of its spec. */
function hasSameTarget(a: ActualContainer, b: ActualContainer): boolean {
  const [left, right] = [a.status, b.status];
  return (
    left.spec === right.spec &&
    a.name === b.name &&
    a.health === b.health &&
    a.restarts.count === b.restarts.count &&
    a.restarts.oomKills === b.restarts.oomKills &&
    left.state === right.state &&
    left.startedAtMs === right.startedAtMs &&
    left.createdAtMs === right.createdAtMs &&
    left.cgroupPath === right.cgroupPath &&
    left.oomKillsBefore === right.oomKillsBefore &&
    left.spec.networks.every(
      ({ network }) => left.hostInterfaces[network] === right.hostInterfaces[network],
    )
  );
}

function targetOf(cgroups: CgroupHost, container: ActualContainer): ContainerTarget {
  const { status, health, restarts } = container;
  const { spec, state, startedAtMs, createdAtMs, cgroupPath, hostInterfaces } = status;
  return {
    id: cgroupPath,
    containerId: container.id,
    name: container.name,
    image: spec.image.reference,
    labels: stableLabels(spec.labels),
    cgroupDirs: cgroupDirs(cgroups, cgroupPath),
    hostInterfaces: insideNames(spec.networks, hostInterfaces),
    state,
    ...(startedAtMs === undefined ? {} : { startTimeSeconds: startedAtMs / 1_000 }),
    createdTimeSeconds: createdAtMs / 1_000,
    health,
    restarts: restarts.count,
    oomKills: (restarts.oomKills ?? 0) - (isAlive(state) ? (status.oomKillsBefore ?? 0) : 0),
  };
}

function isAlive(state: string): boolean {
  return state === "running" || state === "paused";
}

/** The agent's bookkeeping would begin new series with each change. */
function stableLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  if (readContainerLabels(labels) === undefined) return { ...labels };
  const bookkeeping = ["spec-digest", "depends-on", "stop-grace-ms"].map(
    (key) => `io.berth.${key}`,
  );
  return Object.fromEntries(Object.entries(labels).filter(([key]) => !bookkeeping.includes(key)));
}

function cgroupDirs(host: CgroupHost, path: string): CgroupDirs {
  const v1 = Object.fromEntries(
    [...host.v1].map(([controller, mountPoint]) => [controller, mountPoint + path]),
  );
  return host.unified === undefined ? { v1 } : { v1, unified: host.unified + path };
}

/** Interfaces inside a container are `eth0`, `eth1`, … in the order of its networks. */
function insideNames(
  networks: readonly { readonly network: string }[],
  hostInterfaces: Readonly<Record<string, string>>,
): Record<string, string> {
  const names: Record<string, string> = {};
  for (const [index, { network }] of networks.entries()) {
    const host = hostInterfaces[network];
    if (host !== undefined) names[`eth${index}`] = host;
  }
  return names;
}
