import type { ProcessIdentity } from "../helper/launcher.ts";
import type { ProcessPlan, StartPlan } from "../plan/start-plan.ts";
import { openCgroup, prepareCgroup } from "../program/cgroup-program.ts";
import type { HostOperations } from "../program/host-operations.ts";
import { namespaceFlag, propagationFlag } from "../program/kernel-flags.ts";
import { lendLinks } from "../program/lend-links.ts";
import {
  makeOwnNodes,
  mapText,
  type PreparedMounts,
  placeMounts,
  prepareMounts,
  sealMounts,
} from "../program/mounts-program.ts";
import { cloneFlags, enterNamespaces } from "../program/namespaces-program.ts";
import type { Slot } from "../program/operation-list.ts";
import { asksAgent, finishProcess, openLabel } from "../program/process-program.ts";
import { Program } from "../program/program.ts";
import type { CgroupDirs } from "./cgroup-path.ts";
import type { HookPlan, HookPlans } from "./hooks.ts";
import type { OciPlan } from "./oci-plan.ts";
import type { SeccompAgent } from "./oci-seccomp.ts";

/** Where a process of a container waits, and who gets its terminal. */
export type Handoff = {
  /** A socket that is made there: the init waits for a RELEASE on it. Undefined: it does not wait. */
  readonly startSocket?: string;
  /** Where somebody listens for the terminal's master. Undefined: the supervisor keeps it. */
  readonly consoleSocket?: string;
  /** Who is asked by a filter that asks. */
  readonly seccompAgent: SeccompAgent | undefined;
  /** The process waits until its supervisor is told to release it. */
  readonly holds: boolean;
};

/**
 * Compiles the first process of an OCI container: as `compileContainer`, with hooks at their places, and a wait before
 * everything that cannot be taken back.
 */
export function compileOciContainer(
  { plan, copyUps, netDevices }: OciPlan,
  hooks: HookPlans,
  handoff: Handoff,
): Buffer {
  const program = new Program();
  const cgroup = prepareCgroup(program, plan.cgroup);
  const root = openRoot(program, plan);
  const mounts = prepareMounts(program, plan, noStore);
  const start = openHandoff(program, handoff);
  enterNamespaces(program, plan.namespaces);
  program.clone(cloneFlags(plan.namespaces), cgroup.unified);

  const { user } = plan.namespaces;
  if (user.kind === "new") program.idMap(mapText(user.uids), mapText(user.gids));
  if (plan.process.oomScoreAdj !== undefined) program.childOomScore(plan.process.oomScoreAdj);
  const label = openLabel(program, plan.process);
  program.passFds();
  lendLinks(program, netDevices);
  // What these hooks mount below the root has to find it in its place.
  const waitsForMounts = hooks.createRuntime.length > 0;
  if (waitsForMounts) program.await();
  runHooks(program, hooks.createRuntime);
  program.notify().initBegin();

  program.takeFds();
  for (const slot of cgroup.tasks) program.cgroupEnter(slot);
  program.ids(0, 0, []).privateMounts().attachRoot(root, plan.stagingDir);
  placeWithCopies(program, mounts, copyUps);
  makeOwnNodes(program, plan, mounts);
  for (const { target, path } of plan.symlinks) program.makeSymlink(target, path);
  makeConsole(program, plan);
  sealMounts(program, mounts, plan);
  if (waitsForMounts) program.notify();
  program.await();
  // Hooks name what lies below the root by it.
  if (hooks.createContainer.length > 0) program.chdir("/", false);
  runHooks(program, hooks.createContainer);
  if (plan.readOnlyRoot) {
    program.makeDir(plan.process.workingDir, 0o755, { optional: true }).rootReadOnly();
  }
  program.pivot();
  setRootPropagation(program, root, plan);
  program.hostname(plan.hostname, plan.domainname);
  for (const { path, value } of plan.sysctls) program.sysctl(path, value);
  if (plan.namespaces.cgroup.kind === "new") program.unshare(namespaceFlag.cgroup);
  const process = showTerminal(program, plan.process);
  program.chdir(process.workingDir, true).find(process.argv, process.environment);
  // A listener goes to its agent as long as there is a supervisor: such a filter comes before the wait.
  const asks = asksAgent(plan.process);
  if (start !== undefined && !asks) program.holdUntil(start);
  const { holds: hold } = handoff;
  finishProcess(program, process, {
    first: true,
    init: false,
    hold,
    label,
    entered: true,
    // A startContainer hook is a program of the root: it may do no more than the container.
    beforeExec: () => {
      if (start !== undefined && asks) program.holdUntil(start);
      runHooks(program, hooks.startContainer);
    },
  });
  return program.finish();
}

/** Compiles a further process, made by a supervisor of its own. `joins` are CLONE_NEW* flags. */
export function compileOciExec(
  process: ProcessPlan,
  container: {
    readonly process: ProcessIdentity;
    readonly joins: number;
    readonly cgroup: CgroupDirs;
  },
  handoff: Handoff,
): Buffer {
  const program = new Program();
  const cgroup = openCgroup(program, container.cgroup);
  openHandoff(program, handoff);
  const { initial, final } = process.execAffinity ?? {};
  if (initial !== undefined) program.affinity(initial);
  program
    .container(container.process.pid, container.process.startTime)
    .join(container.joins, cgroup.unified);
  if (process.oomScoreAdj !== undefined) program.childOomScore(process.oomScoreAdj);
  const label = openLabel(program, process);
  program.passFds().initBegin().takeFds();
  for (const slot of cgroup.tasks) program.cgroupEnter(slot);
  if (final !== undefined) program.affinity(final);
  program.chdir(process.workingDir, false);
  const { holds: hold } = handoff;
  finishProcess(program, process, { first: false, init: false, hold, label, entered: true });
  return program.finish();
}

function noStore(): Slot {
  throw new Error("cannot map ids of the store: an OCI bundle has none");
}

function openRoot(program: Program, { root }: StartPlan): Slot {
  if (root.kind !== "directory") throw new Error("cannot open the root: a directory is expected");
  const slot = program.slot();
  program
    .openTree(slot, root.path, { recursive: true })
    .mountSetattr(slot, { propagation: propagationFlag.slave, recursive: true });
  return slot;
}

function openHandoff(program: Program, handoff: Handoff): Slot | undefined {
  if (handoff.consoleSocket !== undefined) program.consoleSocket(handoff.consoleSocket);
  const { seccompAgent: agent } = handoff;
  if (agent !== undefined) program.seccompAgent(agent.path, agent.parts);
  if (handoff.startSocket === undefined) return undefined;
  const slot = program.slot();
  program.listen(slot, handoff.startSocket);
  return slot;
}

function runHooks(program: HostOperations, hooks: readonly HookPlan[]): void {
  for (const hook of hooks) program.hook(hook);
}

/** Mounts in order; what the root has at the place of a copying one is opened before it is covered. */
function placeWithCopies(
  program: Program,
  mounts: PreparedMounts,
  copyUps: ReadonlySet<string>,
): void {
  for (const place of mounts.places) {
    const { target } = place.mount;
    const copies = copyUps.has(target) && place.mount.kind === "filesystem";
    const below = copies ? program.slot() : undefined;
    if (below !== undefined)
      program.makeDir(target, 0o755).bindFromRoot(below, target, { clone: false });
    placeMounts(program, { places: [place], nullDevice: mounts.nullDevice });
    if (below !== undefined) program.copyTree(below, place.slot);
  }
}

/** The terminal is shown after the mounts are sealed, where nothing can be made any more. */
function makeConsole(program: Program, { mounts, devices, process }: StartPlan): void {
  const isSealed = mounts.some(
    (mount) =>
      mount.kind === "filesystem" && mount.target === "/dev" && mount.lateFlags !== undefined,
  );
  const path = "/dev/console";
  if (!isSealed || process.terminal === undefined || devices.some((node) => node.path === path))
    return;
  program.makeNode(null, { path, mode: regularFile | 0o600, rdev: 0n, uid: 0, gid: 0 });
}

/** S_IFREG of inode(7). */
const regularFile = 0o100000;

/** The slot still is the root's mount. */
function setRootPropagation(program: Program, root: Slot, plan: StartPlan): void {
  const { rootPropagation } = plan;
  if (rootPropagation === undefined) return;
  program.mountSetattr(root, {
    propagation: rootPropagation & ~propagationFlag.recursive,
    recursive: (rootPropagation & propagationFlag.recursive) !== 0,
  });
}

/** The terminal is handed over before the wait: whoever has made the container waits for it. */
function showTerminal(program: Program, process: ProcessPlan): ProcessPlan {
  if (process.terminal === undefined) return process;
  program.tty(process.terminal);
  return { ...process, terminal: undefined };
}
