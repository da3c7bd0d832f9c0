import type { NamespacePlans } from "../plan/start-plan.ts";
import { namespaceFlag } from "./kernel-flags.ts";
import type { Slot } from "./operation-list.ts";
import type { Program } from "./program.ts";

/** Host part, before the clone. Returns the slot of the user namespace that is joined; undefined for a new one. */
export function enterNamespaces(program: Program, plans: NamespacePlans): Slot | undefined {
  let userNamespace: Slot | undefined;
  const { time } = plans;
  if (time.kind === "new" && time.offsets !== undefined) program.timeOffsets(time.offsets);
  for (const kind of kinds) {
    const plan = plans[kind];
    if (plan.kind !== "path") continue;
    const slot = program.slot();
    program.open(slot, null, openReadOnly, plan.path).enter(slot, namespaceFlag[kind]);
    if (kind === "user") userNamespace = slot;
  }
  return userNamespace;
}

/** Namespaces that begin with the container. The cgroup namespace comes later, from inside its cgroup. */
export function cloneFlags(plans: NamespacePlans): number {
  return kinds
    .filter((kind) => kind !== "cgroup" && plans[kind].kind === "new")
    .reduce<number>((flags, kind) => flags | namespaceFlag[kind], namespaceFlag.mount);
}

/** Namespaces that a further process has to join: setns(2) refuses the user namespace that one is in already. */
export function joinFlags(plans: NamespacePlans): number {
  return kinds
    .filter((kind) => plans[kind].kind !== "host")
    .reduce<number>((flags, kind) => flags | namespaceFlag[kind], namespaceFlag.mount);
}

const openReadOnly = 0;
const kinds = ["network", "ipc", "uts", "pid", "cgroup", "time", "user"] as const;
