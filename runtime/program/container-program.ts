import type { CgroupPlan, NamespacePlans, ProcessPlan, StartPlan } from "../plan/start-plan.ts";
import { openCgroup, prepareCgroup } from "./cgroup-program.ts";
import { namespaceFlag, propagationFlag } from "./kernel-flags.ts";
import {
  idsNamespace,
  makeOwnNodes,
  mapHostIds,
  mapText,
  type PreparedMounts,
  placeMounts,
  prepareMounts,
  sealMounts,
  storeNamespace,
} from "./mounts-program.ts";
import { cloneFlags, enterNamespaces, joinFlags } from "./namespaces-program.ts";
import type { Slot } from "./operation-list.ts";
import { finishProcess, openLabel } from "./process-program.ts";
import { Program } from "./program.ts";
import { prepareOverlay } from "./rootfs-program.ts";

/** Compiles a start into the flat program that the helper carries out. */
export function compileContainer(plan: StartPlan): Buffer {
  const program = new Program();
  const cgroup = prepareCgroup(program, plan.cgroup);
  const storeIds = once(() => storeNamespace(program, plan.idBase));
  const root = prepareRoot(program, plan, storeIds);
  const mounts = prepareMounts(program, plan, storeIds);
  const proc = prepareSysctls(program, plan);
  const userNamespace = enterNamespaces(program, plan.namespaces);
  program.clone(cloneFlags(plan.namespaces), cgroup.unified);

  const { user } = plan.namespaces;
  if (user.kind === "new") program.idMap(mapText(user.uids), mapText(user.gids));
  if (user.kind !== "host") mapOwnIds(program, plan, { root, mounts, userNamespace });
  adjustChild(program, plan.process);
  const label = openLabel(program, plan.process);
  program.passFds();
  for (const { messages, patchOffset } of plan.network.hostMessages) {
    program.netlink(netlinkRoute, messages, { patchOffset });
  }
  program.notify().initBegin();

  program.takeFds();
  for (const slot of cgroup.tasks) program.cgroupEnter(slot);
  program.ids(0, 0, []).privateMounts().attachRoot(root, plan.stagingDir);
  placeMounts(program, mounts);
  makeOwnNodes(program, plan, mounts);
  for (const { target, path } of plan.symlinks) program.makeSymlink(target, path);
  sealMounts(program, mounts, plan);
  if (plan.readOnlyRoot) program.rootReadOnly();
  program.pivot();
  if (plan.rootPropagation !== undefined) setRootPropagation(program, root, plan.rootPropagation);
  program.hostname(plan.hostname, plan.domainname).await();
  if (plan.network.initMessages.length > 0)
    program.netlink(netlinkRoute, plan.network.initMessages);
  if (proc !== undefined) program.proc(proc);
  for (const { path, value, optional } of plan.sysctls) program.sysctl(path, value, { optional });
  if (plan.namespaces.cgroup.kind === "new") program.unshare(namespaceFlag.cgroup);
  finishProcess(program, plan.process, { first: true, init: plan.init, hold: plan.hold, label });
  return program.finish();
}

/** Compiles a further process of a running container: same namespaces and cgroup. */
export function compileExec(plan: {
  readonly process: ProcessPlan;
  /** Of the container. */
  readonly namespaces: NamespacePlans;
  readonly cgroup: Pick<CgroupPlan, "v1" | "unified">;
}): Buffer {
  const program = new Program();
  const cgroup = openCgroup(program, plan.cgroup);
  program.join(joinFlags(plan.namespaces), cgroup.unified);
  adjustChild(program, plan.process);
  const label = openLabel(program, plan.process);
  program.passFds().initBegin().takeFds();
  for (const slot of cgroup.tasks) program.cgroupEnter(slot);
  finishProcess(program, plan.process, { first: false, init: false, hold: false, label });
  return program.finish();
}

const netlinkRoute = 0;

function prepareRoot(program: Program, plan: StartPlan, storeIds: () => Slot): Slot {
  const { root, idBase } = plan;
  if (root.kind === "overlay") {
    return prepareOverlay(program, { ...root, storeIds: storeIds(), idBase });
  }
  const slot = program.slot();
  program.openTree(slot, root.path, { recursive: true }).mountSetattr(slot, {
    propagation: propagationFlag.private,
    recursive: true,
    ...idsNamespace(program, root.ids, storeIds),
  });
  return slot;
}

/** With the host's pid namespace and a user namespace of its own, an init may not make a procfs: it gets the host's. */
function prepareSysctls(program: Program, plan: StartPlan): Slot | undefined {
  const { pid, user } = plan.namespaces;
  if (plan.sysctls.length === 0 || pid.kind !== "host" || user.kind === "host") return undefined;
  const slot = program.slot();
  program.fsopen(slot, "proc", 0, []);
  return slot;
}

/** Sources with the host's ids are mapped once the container's user namespace exists. */
function mapOwnIds(
  program: Program,
  plan: StartPlan,
  made: {
    readonly root: Slot;
    readonly mounts: PreparedMounts;
    readonly userNamespace: Slot | undefined;
  },
): void {
  const userNamespace = once(() => {
    if (made.userNamespace !== undefined) return made.userNamespace;
    const slot = program.slot();
    program.childNamespace(slot, "user");
    return slot;
  });
  if (plan.root.kind === "directory" && plan.root.ids === "host") {
    program.mountSetattr(made.root, { userNamespace: userNamespace() });
  }
  mapHostIds(program, made.mounts, userNamespace);
}

/** What takes the host's rights to be done to the child. */
function adjustChild(program: Program, process: ProcessPlan): void {
  if (process.oomScoreAdj !== undefined) program.childOomScore(process.oomScoreAdj);
  for (const { resource, soft, hard, raises } of process.rlimits) {
    if (raises) program.childRlimit(resource, soft, hard);
  }
}

/** The slot still is the root's mount. */
function setRootPropagation(program: Program, root: Slot, propagation: number): void {
  const recursive = (propagation & propagationFlag.recursive) !== 0;
  program.mountSetattr(root, { propagation: propagation & ~propagationFlag.recursive, recursive });
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
