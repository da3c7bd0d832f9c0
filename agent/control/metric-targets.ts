import type { CgroupDirs, ContainerTarget } from "../../metrics/container-target.ts";
import type { CgroupHost } from "../../runtime/cgroups/cgroup-host.ts";
import { readContainerLabels } from "../container-labels.ts";
import type { ControlContext } from "./control-context.ts";

/** The containers of the last round as metrics read them. */
export function containerTargets({ loop, cgroups }: ControlContext): ContainerTarget[] {
  return (loop.last?.actual.containers ?? []).map((container) => {
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
  });
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
