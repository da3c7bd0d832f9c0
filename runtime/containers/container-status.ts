import type { PortBinding } from "../container-spec.ts";
import type { ContainerStatus } from "../runtime.ts";
import { type ContainerContext, cgroupPathOf, pathsOf } from "./container-context.ts";
import type { InventoryEntry } from "./inventory.ts";

/** A container as its entry and the kernel show it. `isRunning`: its supervisor is watched. */
export function containerStatus(
  context: ContainerContext,
  entry: InventoryEntry,
  seen: {
    readonly isRunning: boolean;
    readonly isFrozen: () => boolean;
    readonly publishedPorts: readonly PortBinding[];
  },
): ContainerStatus {
  const { spec, reload, reloadedAtMs } = entry;
  const { isRunning, isFrozen, publishedPorts } = seen;
  const path = cgroupPathOf(context, spec.id);
  const { addresses, hostInterfaces } = context.networks.leases(spec.id);
  return {
    spec,
    state: stateOf(entry, isRunning, isFrozen),
    createdAtMs: entry.createdAtMs,
    addresses,
    publishedPorts,
    cgroupPath: path,
    hostInterfaces,
    logPath: pathsOf(context, spec.id).log,
    oomKillsBefore: entry.oomKillsBefore ?? 0,
    ...(context.heldBack.has(spec.id) ? { isHeldBack: true } : {}),
    ...(isRunning && reload !== undefined ? { reload } : {}),
    ...(reloadedAtMs === undefined ? {} : { reloadedAtMs }),
    ...(isRunning && entry.process !== undefined ? { pid: entry.process.pid } : {}),
    ...(entry.startedAtMs === undefined ? {} : { startedAtMs: entry.startedAtMs }),
    ...(entry.exit === undefined || isRunning ? {} : { exit: entry.exit }),
  };
}

function stateOf(
  entry: InventoryEntry,
  isRunning: boolean,
  frozen: () => boolean,
): ContainerStatus["state"] {
  if (isRunning) return frozen() ? "paused" : "running";
  // Its removal is under way, or failed and is to be tried again.
  if (entry.phase === "removing") return "dead";
  return entry.phase === "exited" ? "exited" : "created";
}
