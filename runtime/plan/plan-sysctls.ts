import type { ContainerSpec } from "../container-spec.ts";
import { idsPerContainer } from "../containers/id-leases.ts";
import type { NamespacePlans, SysctlPlan } from "./start-plan.ts";

/** Kernel settings that every namespace has of its own (namespaces(7), ipc_namespaces(7)). */
const ipcPattern =
  /^(?:kernel\/(?:shm(?:all|max|mni|_rmid_forced)|msg(?:max|mnb|mni)|sem)|fs\/mqueue\/[a-z_]+)$/;
const networkPattern = /^net(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$/;

/**
 * What is written below /proc/sys: the container's wishes, low ports for everybody, no further user namespaces. Throws on
 * what is not the container's own to change.
 */
export function planSysctls(
  spec: Pick<ContainerSpec, "sysctls">,
  namespaces: NamespacePlans,
  options: { readonly nestedUserNamespaces: boolean },
): readonly SysctlPlan[] {
  const own = Object.entries(spec.sysctls ?? {}).map(([name, value]): SysctlPlan => {
    return { path: checkedPath({ name, value, namespaces }), value, optional: false };
  });
  return [...defaults(namespaces, options), ...own];
}

function defaults(
  namespaces: NamespacePlans,
  { nestedUserNamespaces }: { readonly nestedUserNamespaces: boolean },
): readonly SysctlPlan[] {
  const network: SysctlPlan[] =
    namespaces.network.kind === "new"
      ? [
          { path: "net/ipv4/ping_group_range", value: `0 ${idsPerContainer - 1}`, optional: true },
          { path: "net/ipv4/ip_unprivileged_port_start", value: "0", optional: true },
        ]
      : [];
  // Each user namespace has this limit of its own. In the host's it would be the host's.
  const isClosed = namespaces.user.kind === "new" && !nestedUserNamespaces;
  return isClosed
    ? [...network, { path: "user/max_user_namespaces", value: "0", optional: false }]
    : network;
}

/**
 * The path below /proc/sys of `net.ipv4.conf.eth0/1.rp_filter` or `net/ipv4/…`, as sysctl(8) has it: the first separator
 * decides. Undefined where it would lead elsewhere.
 */
export function sysctlPath(name: string): string | undefined {
  const path =
    /[./]/.exec(name)?.[0] === "."
      ? name.replace(/[./]/g, (separator) => (separator === "." ? "/" : "."))
      : name;
  return path.split("/").some((part) => ["", ".", ".."].includes(part)) ? undefined : path;
}

function checkedPath(wish: {
  readonly name: string;
  readonly value: string;
  readonly namespaces: NamespacePlans;
}): string {
  const { name, value, namespaces } = wish;
  const refuse = (why: string): never => {
    throw new Error(`cannot set sysctl ${JSON.stringify(name)} because ${why}`);
  };
  const path =
    sysctlPath(name) ?? refuse("its name is malformed: one such as net.core.somaxconn is expected");
  const isNetwork = networkPattern.test(path);
  if (!isNetwork && !ipcPattern.test(path)) {
    refuse(
      "it is the whole host's: one of net.*, kernel.shm*, kernel.msg*, kernel.sem or fs.mqueue.* is expected",
    );
  }
  if (isNetwork && namespaces.network.kind !== "new") {
    refuse("the container's network is not its own: set it there");
  }
  if (!isNetwork && namespaces.ipc.kind !== "new") {
    refuse("the container's IPC namespace is not its own: set it there");
  }
  if (value.length > 4096 || /[^\x20-\x7e\t]/.test(value)) {
    refuse("its value is not one line of text");
  }
  return path;
}
