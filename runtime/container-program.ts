import { capabilityMask, defaultCapabilities } from "./capabilities.ts";
import type { CgroupWrite } from "./cgroups/cgroup-limits.ts";
import { idsPerContainer } from "./id-leases.ts";
import { LAYER_ID_BASE } from "./images/layer-ids.ts";
import { namespaceFlag } from "./kernel-flags.ts";
import type { Slot } from "./operation-list.ts";
import { Program } from "./program.ts";
import {
  type HostMount,
  mapHostIds,
  placeMounts,
  prepareMounts,
  prepareOverlay,
  type TmpfsMount,
} from "./rootfs-program.ts";
import { maskPaths, placeSystemMounts, prepareSystemMounts } from "./system-mounts.ts";
import type { ProcessUser } from "./user-lookup.ts";

/** Everything a start needs, resolved: no field is looked up any more. */
export type StartPlan = {
  readonly argv: readonly string[];
  readonly environment: readonly string[];
  readonly workingDir: string;
  readonly user: ProcessUser;
  readonly hostname: string;
  /** First host id of the container's range. */
  readonly idBase: number;
  readonly layerDirs: readonly string[];
  readonly writableDir: string;
  /** An empty directory of the host that the root is mounted on, in the container's own namespace. */
  readonly stagingDir: string;
  readonly cgroup: {
    /** Path below each mount point, beginning with `/`. */
    readonly path: string;
    readonly v1: readonly string[];
    readonly unified: string | undefined;
    readonly writes: readonly CgroupWrite[];
    /** eBPF program for the unified directory, where no v1 controller keeps devices away. */
    readonly deviceFilter: Uint8Array | undefined;
  };
  readonly network: {
    readonly hostMessages: readonly { readonly messages: Buffer; readonly patchOffset: number }[];
    readonly initMessages: Buffer;
  };
  readonly mounts: readonly HostMount[];
  readonly tmpfs: readonly TmpfsMount[];
  readonly readOnlyRoot: boolean;
  readonly seccomp: Uint8Array;
  readonly init: boolean;
  readonly tty: boolean;
  readonly hold: boolean;
  readonly shmBytes: number;
};

/** Compiles a start into the flat program that the helper carries out. */
export function compileContainer(plan: StartPlan): Buffer {
  const program = new Program();
  const cgroup = prepareCgroup(program, plan.cgroup);
  const storeIds = program.slot();
  program.userNamespace(
    storeIds,
    idMap(LAYER_ID_BASE, plan.idBase),
    idMap(LAYER_ID_BASE, plan.idBase),
  );
  const root = prepareOverlay(program, {
    layerDirs: plan.layerDirs,
    writableDir: plan.writableDir,
    storeIds,
    idBase: plan.idBase,
  });
  const mounts = prepareMounts(program, plan.mounts, storeIds);
  const system = prepareSystemMounts(program, plan.cgroup);
  program.clone(newNamespaces, cgroup.unified);

  const ownMap = idMap(0, plan.idBase);
  program.idMap(ownMap, ownMap);
  if (mounts.some(({ mount }) => mount.ids === "host")) {
    const userNamespace = program.slot();
    program.childNamespace(userNamespace, "user");
    mapHostIds(program, mounts, userNamespace);
  }
  program.passFds();
  for (const { messages, patchOffset } of plan.network.hostMessages) {
    program.netlink(netlinkRoute, messages, { patchOffset });
  }
  program.notify().initBegin();

  program.takeFds();
  for (const slot of cgroup.tasks) program.cgroupEnter(slot);
  program.ids(0, 0, []).privateMounts().attachRoot(root, plan.stagingDir);
  placeSystemMounts(program, system, { shmBytes: plan.shmBytes });
  placeMounts(program, mounts, plan.tmpfs);
  maskPaths(program, system.nullDevice);
  if (plan.readOnlyRoot) program.rootReadOnly();
  program.pivot().hostname(plan.hostname, "").await();
  if (plan.network.initMessages.length > 0)
    program.netlink(netlinkRoute, plan.network.initMessages);
  program
    .sysctl("net/ipv4/ping_group_range", `0 ${idsPerContainer - 1}`, { optional: true })
    .sysctl("net/ipv4/ip_unprivileged_port_start", "0", { optional: true })
    .unshare(namespaceFlag.cgroup);
  finishProcess(program, plan, { first: true });
  return program.finish();
}

/** Compiles a further process of a running container: same namespaces, cgroup, capabilities and system call filter. */
export function compileExec(
  plan: Pick<StartPlan, "argv" | "environment" | "workingDir" | "user" | "seccomp" | "tty"> & {
    readonly cgroup: Pick<StartPlan["cgroup"], "v1" | "unified">;
    readonly terminal: { readonly rows: number; readonly columns: number };
  },
): Buffer {
  const program = new Program();
  const cgroup = openCgroup(program, plan.cgroup);
  program
    .join(newNamespaces | namespaceFlag.cgroup, cgroup.unified)
    .passFds()
    .initBegin()
    .takeFds();
  for (const slot of cgroup.tasks) program.cgroupEnter(slot);
  finishProcess(program, { ...plan, init: false, hold: false }, { first: false });
  return program.finish();
}

/** uid_map and gid_map of user_namespaces(7). */
function idMap(inside: number, outside: number): string {
  return `${inside} ${outside} ${idsPerContainer}\n`;
}

const newNamespaces =
  namespaceFlag.user |
  namespaceFlag.mount |
  namespaceFlag.pid |
  namespaceFlag.network |
  namespaceFlag.ipc |
  namespaceFlag.uts;

const netlinkRoute = 0;
const openPathDirectory = 0o10_200_000;
const openWriteOnly = 1;
const rlimitCore = 4;

function prepareCgroup(program: Program, cgroup: StartPlan["cgroup"]): OpenCgroup {
  for (const directory of cgroup.v1) program.makeHostDir(directory, 0o755);
  if (cgroup.unified !== undefined) program.makeHostDir(cgroup.unified, 0o755);
  for (const write of cgroup.writes) {
    program.writeHostFile(write.path, write.value, { optional: write.optional });
  }
  if (cgroup.unified !== undefined && cgroup.deviceFilter !== undefined) {
    program.cgroupDevices(cgroup.unified, cgroup.deviceFilter);
  }
  return openCgroup(program, cgroup);
}

type OpenCgroup = {
  /** Where the process is cloned into. */
  readonly unified: Slot | null;
  /** What it writes itself to, once it runs. */
  readonly tasks: readonly Slot[];
};

function openCgroup(
  program: Program,
  cgroup: Pick<StartPlan["cgroup"], "v1" | "unified">,
): OpenCgroup {
  const tasks = cgroup.v1.map((directory) => {
    const slot = program.slot();
    program.open(slot, null, openWriteOnly, `${directory}/tasks`);
    return slot;
  });
  if (cgroup.unified === undefined) return { unified: null, tasks };
  const unified = program.slot();
  program.open(unified, null, openPathDirectory, cgroup.unified);
  return { unified, tasks };
}

/** From here on the init gives up what it has: the order is what capabilities(7) and seccomp(2) demand. */
function finishProcess(
  program: Program,
  plan: Pick<
    StartPlan,
    "argv" | "environment" | "workingDir" | "user" | "seccomp" | "tty" | "init" | "hold"
  > & { readonly terminal?: { readonly rows: number; readonly columns: number } },
  { first }: { readonly first: boolean },
): void {
  const { user } = plan;
  const bounding = capabilityMask(defaultCapabilities);
  const held = user.uid === 0 ? bounding : 0n;
  if (plan.tty) program.tty(plan.terminal ?? { rows: 24, columns: 80 });
  program
    .session()
    .keyring()
    .rlimit(rlimitCore, 0n, 0n)
    .umask(0o022)
    // Without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes before the ids and capabilities go.
    .seccomp(0, plan.seccomp)
    .ids(user.uid, user.gid, user.supplementaryGids)
    .capabilities({ bounding, permitted: held, effective: held, inheritable: 0n, ambient: 0n })
    .chdir(plan.workingDir, first);
  if (plan.init) program.reap();
  if (plan.hold) program.hold();
  program.exec(plan.argv, plan.environment);
}
