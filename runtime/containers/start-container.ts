import { mkdirSync, rmSync } from "node:fs";
import { deviceFilter, deviceWrites } from "../cgroups/cgroup-devices.ts";
import { limitWrites, rareControllers } from "../cgroups/cgroup-limits.ts";
import { cgroupDirs, makeRareParents } from "../cgroups/container-cgroup.ts";
import type { ContainerSpec } from "../container-spec.ts";
import type { StartRequest } from "../helper/launcher.ts";
import {
  defaultMaskedPaths,
  defaultMounts,
  defaultReadOnlyPaths,
  defaultSymlinks,
} from "../plan/default-mounts.ts";
import { containerCapabilities } from "../plan/plan-capabilities.ts";
import { planDevices } from "../plan/plan-devices.ts";
import { planNamespaces } from "../plan/plan-namespaces.ts";
import { hostnameOf, planProcess, type RunAs, resolveRunAs } from "../plan/plan-process.ts";
import { planSysctls } from "../plan/plan-sysctls.ts";
import type { StartPlan } from "../plan/start-plan.ts";
import { compileContainer } from "../program/container-program.ts";
import { startFlag } from "../protocol.ts";
import type { ContainerContext } from "./container-context.ts";
import { cgroupPathOf, pathsOf, stagingDirOf } from "./container-context.ts";
import { resolveMounts } from "./container-mounts.ts";
import { requireImage } from "./create-container.ts";
import { type SecretContents, type SpecWithSecrets, secretMounts } from "./secret-mounts.ts";

/** Docker's default size of /dev/shm. */
const shmBytesDefault = 64 * 1024 * 1024;

export type PreparedStart = { readonly request: StartRequest; readonly runAs: RunAs };

/** Everything that can be done for a start without asking the kernel: the request that the launcher carries out. */
export function prepareStart(
  context: ContainerContext,
  { spec, secrets }: SpecWithSecrets,
  { hold }: { readonly hold: boolean },
): PreparedStart {
  const paths = pathsOf(context, spec.id);
  const runAs = resolveRunAs(context, spec);
  const program = compileContainer(planStart(context, spec, { runAs, secrets, hold }));
  mkdirSync(paths.runDir, { recursive: true, mode: 0o700 });
  rmSync(paths.exitFile, { force: true });
  rmSync(paths.socket, { force: true });
  const request = {
    containerId: spec.id,
    socketPath: paths.socket,
    exitPath: paths.exitFile,
    logPath: paths.log,
    logFileBytesMax: spec.log.fileBytesMax,
    logFilesMax: spec.log.filesMax,
    flags:
      (spec.stdinOpen ? startFlag.stdin : 0) |
      (spec.tty ? startFlag.tty : 0) |
      (hold ? startFlag.hold : 0),
    program,
  };
  return { request, runAs };
}

function planStart(
  context: ContainerContext,
  spec: ContainerSpec,
  asked: { readonly runAs: RunAs; readonly secrets: SecretContents; readonly hold: boolean },
): StartPlan {
  const { runAs, secrets, hold } = asked;
  const paths = pathsOf(context, spec.id);
  const cgroupPath = cgroupPathOf(context, spec.id);
  const image = requireImage(context, spec);
  const attachment = context.networks.attachment(spec.id, spec.networks);
  const devices = planDevices(spec);
  const { plans: namespaces, idBase, networkOf } = planNamespaces(context, spec);
  const rare = rareControllers(spec.resources);
  makeRareParents(context.cgroups, context.cgroupParent, rare);
  const cgroup = cgroupDirs(context.cgroups, cgroupPath, rare);
  const isPrivileged = spec.security?.privileged === true;
  const isShown = isPrivileged || spec.security?.systemPathsShown === true;
  return {
    process: planProcess(context, spec, runAs),
    namespaces,
    idBase,
    hostname: namespaces.uts.kind === "new" ? hostnameOf(spec) : "",
    domainname: namespaces.uts.kind === "new" ? (spec.domainname ?? "") : "",
    root: {
      kind: "overlay",
      layerDirs: image.layerDirs,
      writableDir: `${paths.dir}/rootfs`,
    },
    readOnlyRoot: spec.readOnlyRoot,
    rootPropagation: undefined,
    stagingDir: stagingDirOf(context),
    mounts: [
      ...defaultMounts({
        shmBytes: spec.shmBytes ?? shmBytesDefault,
        idBase,
        hostProc: namespaces.pid.kind === "host" && namespaces.user.kind !== "host",
        hostSys: namespaces.network.kind === "host" && namespaces.user.kind !== "host",
        hostIpc: namespaces.ipc.kind === "host",
        writable: isPrivileged,
        cgroup: { ...cgroup, path: cgroupPath },
      }),
      ...resolveMounts(context, spec, networkOf),
      ...secretMounts(spec, { idBase, secrets }),
    ],
    devices: devices.nodes,
    symlinks: defaultSymlinks,
    maskedPaths: isShown ? [] : defaultMaskedPaths(),
    readOnlyPaths: isShown ? [] : defaultReadOnlyPaths,
    sysctls: planSysctls(spec, namespaces, {
      nestedUserNamespaces: containerCapabilities(spec).includes("SYS_ADMIN"),
    }),
    cgroup: {
      ...cgroup,
      writes: [
        ...limitWrites(context.cgroups, cgroupPath, spec.resources),
        ...deviceWrites(context.cgroups, cgroupPath, devices.rules),
      ],
      deviceFilter: isPrivileged ? undefined : deviceFilter(context.cgroups, devices.rules),
    },
    network:
      namespaces.network.kind === "new"
        ? { hostMessages: attachment.hostMessages, initMessages: attachment.initMessages }
        : { hostMessages: [], initMessages: Buffer.alloc(0) },
    init: spec.init,
    hold,
  };
}
