import type { ContainerSpec, NamespaceChoice } from "../container-spec.ts";
import type { ContainerContext } from "../containers/container-context.ts";
import { idsPerContainer } from "../containers/id-leases.ts";
import type { NamespacePlan, NamespacePlans, UserNamespacePlan } from "./start-plan.ts";

export type ContainerNamespaces = {
  readonly plans: NamespacePlans;
  /** Host id of the container's root. */
  readonly idBase: number;
  /** Id of the container whose network this one shares. */
  readonly networkOf: string | undefined;
};

/**
 * The namespaces of a container that starts, or runs, now. Who joins another container's namespaces joins its user
 * namespace, too: the kernel gives rights over a namespace to its owner only. Throws when that container does not run.
 */
export function planNamespaces(
  context: ContainerContext,
  spec: ContainerSpec,
): ContainerNamespaces {
  const wanted = spec.namespaces ?? {};
  const target = joinedContainer(spec);
  const other = target === undefined ? undefined : findRunning(context, spec, target);
  const ns = (name: string, choice: NamespaceChoice | undefined): NamespacePlan => {
    if (choice === "host") return { kind: "host" };
    if (choice === undefined || choice === "private") return { kind: "new" };
    return { kind: "path", path: `/proc/${other?.pid}/ns/${name}` };
  };
  const user = planUser(context, spec, other);
  return {
    plans: {
      user: user.plan,
      pid: ns("pid", wanted.pid),
      network: ns("net", wanted.network),
      ipc: ns("ipc", wanted.ipc),
      uts: ns("uts", wanted.uts),
      cgroup: ns("cgroup", wanted.cgroup),
      time: { kind: "host" },
    },
    idBase: user.idBase,
    networkOf: typeof wanted.network === "object" ? other?.spec.id : undefined,
  };
}

/** Which namespaces of a running container are its own, for who joins it: nothing is looked up. */
export function namespaceKinds(context: ContainerContext, spec: ContainerSpec): NamespacePlans {
  const { pid, ipc, uts, cgroup, network } = spec.namespaces ?? {};
  const kind = (choice: NamespaceChoice | undefined): NamespacePlan =>
    choice === "host" ? { kind: "host" } : { kind: "new" };
  return {
    user: isHostOwned(context, spec) ? { kind: "host" } : { kind: "path", path: "" },
    pid: kind(pid),
    network: kind(network),
    ipc: kind(ipc),
    uts: kind(uts),
    cgroup: kind(cgroup),
    time: { kind: "host" },
  };
}

function isHostOwned(context: ContainerContext, spec: ContainerSpec): boolean {
  if (hasHostIds(spec)) return true;
  const name = joinedContainer(spec);
  const target = [...context.inventory.all()].find((entry) => entry.spec.name === name);
  return target !== undefined && isHostOwned(context, target.spec);
}

/** Name of the one container whose namespaces are joined. Throws when there are several. */
export function joinedContainer(spec: ContainerSpec): string | undefined {
  const { pid, ipc, network } = spec.namespaces ?? {};
  const names = new Set(
    [pid, ipc, network].flatMap((choice) => (typeof choice === "object" ? [choice.container] : [])),
  );
  if (names.size > 1) {
    throw new Error(
      `cannot join the namespaces of ${[...names].join(" and ")} because their user ids differ: join those of one container`,
    );
  }
  return names.values().next().value;
}

export function hasHostIds(spec: Pick<ContainerSpec, "security" | "namespaces">): boolean {
  return spec.security?.privileged === true || spec.namespaces?.user === "host";
}

type RunningContainer = { readonly spec: ContainerSpec; readonly pid: number };

function findRunning(
  context: ContainerContext,
  spec: ContainerSpec,
  name: string,
): RunningContainer {
  for (const entry of context.inventory.all()) {
    if (entry.spec.name !== name || entry.phase !== "running" || entry.process === undefined) {
      continue;
    }
    return { spec: entry.spec, pid: entry.process.pid };
  }
  throw new Error(
    `cannot join the namespaces of ${name} for ${spec.name} because it is not running: start it first`,
  );
}

function planUser(
  context: ContainerContext,
  spec: ContainerSpec,
  other: RunningContainer | undefined,
): { readonly plan: UserNamespacePlan; readonly idBase: number } {
  if (hasHostIds(spec)) return { plan: { kind: "host" }, idBase: 0 };
  if (other !== undefined) {
    if (hasHostIds(other.spec)) return { plan: { kind: "host" }, idBase: 0 };
    const { idBase } = planUser(context, other.spec, otherOf(context, other.spec));
    return { plan: { kind: "path", path: `/proc/${other.pid}/ns/user` }, idBase };
  }
  const idBase = context.idLeases.lease(spec.id);
  const ids = [{ inside: 0, outside: idBase, count: idsPerContainer }];
  return { plan: { kind: "new", uids: ids, gids: ids }, idBase };
}

function otherOf(context: ContainerContext, spec: ContainerSpec): RunningContainer | undefined {
  const name = joinedContainer(spec);
  return name === undefined ? undefined : findRunning(context, spec, name);
}
