import type { CgroupHost } from "../cgroups/cgroup-host.ts";
import type { Launcher } from "../helper/launcher.ts";
import type { SupervisorAddress } from "../helper/supervisor-socket.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { Networks } from "../network/networks.ts";
import type { Log } from "../runtime.ts";
import type { RuntimeOptions } from "../runtime-options.ts";
import { type ContainerPaths, containerPaths } from "./container-paths.ts";
import type { HeldBack } from "./held-back.ts";
import type { IdLeases } from "./id-leases.ts";
import type { Inventory } from "./inventory.ts";
import type { Volumes } from "./volumes.ts";

/** The parts of one open runtime that containers are made of. */
export type ContainerContext = {
  readonly libDir: string;
  readonly runDir: string;
  /** cgroup path of the instance, such as `/berth`. */
  readonly cgroupParent: string;
  readonly cgroups: CgroupHost;
  readonly inventory: Inventory;
  readonly heldBack: HeldBack;
  readonly idLeases: IdLeases;
  readonly images: ImageStore;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly launcher: Launcher;
  readonly log: Log;
  readonly admitBind: NonNullable<RuntimeOptions["admitBind"]>;
  readonly secretContent: NonNullable<RuntimeOptions["secretContent"]>;
  readonly now: () => number;
};

export function pathsOf(context: ContainerContext, id: string): ContainerPaths {
  return containerPaths(context, id);
}

/** How the supervisor of the run that goes on is spoken to. */
export function supervisorOf(context: ContainerContext, id: string): SupervisorAddress {
  const { socket: socketPath } = pathsOf(context, id);
  const protocol = context.inventory.get(id)?.protocol;
  return protocol === undefined ? { socketPath } : { socketPath, protocol };
}

/** The container's cgroup below each hierarchy's mount point. */
export function cgroupPathOf(context: ContainerContext, id: string): string {
  return `${context.cgroupParent}/${id}`;
}

/** Where the launcher is, and what it forks. */
export function supervisorsCgroupOf({ cgroupParent }: { readonly cgroupParent: string }): string {
  return `${cgroupParent}/supervisors`;
}

/** The empty directory on which inits mount their root, each in its own mount namespace. */
export function stagingDirOf(context: ContainerContext): string {
  return `${context.runDir}/root`;
}
