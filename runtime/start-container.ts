import { mkdirSync, rmSync } from "node:fs";
import { deviceFilter, deviceWrites } from "./cgroups/cgroup-devices.ts";
import { limitWrites } from "./cgroups/cgroup-limits.ts";
import { cgroupDirs } from "./cgroups/container-cgroup.ts";
import { defaultDeviceRules } from "./cgroups/device-rules.ts";
import type { ContainerContext } from "./container-context.ts";
import { cgroupPathOf, pathsOf, stagingDirOf } from "./container-context.ts";
import { resolveMounts } from "./container-mounts.ts";
import { compileContainer } from "./container-program.ts";
import type { ContainerSpec } from "./container-spec.ts";
import { requireImage } from "./create-container.ts";
import {
  containerDevices,
  defaultMaskedPaths,
  defaultMounts,
  defaultReadOnlyPaths,
  defaultSymlinks,
} from "./default-mounts.ts";
import { idsPerContainer } from "./id-leases.ts";
import type { StartRequest } from "./launcher.ts";
import { planNamespaces } from "./plan-namespaces.ts";
import { hostnameOf, planProcess } from "./plan-process.ts";
import { startFlag } from "./protocol.ts";
import type { StartPlan } from "./start-plan.ts";

/** Docker's default size of /dev/shm. */
const shmBytes = 64 * 1024 * 1024;

/** Everything that can be done for a start without asking the kernel: the request that the launcher carries out. */
export function prepareStart(context: ContainerContext, spec: ContainerSpec): StartRequest {
  const paths = pathsOf(context, spec.id);
  const program = compileContainer(planStart(context, spec));
  mkdirSync(paths.runDir, { recursive: true, mode: 0o700 });
  rmSync(paths.exitFile, { force: true });
  rmSync(paths.socket, { force: true });
  return {
    containerId: spec.id,
    socketPath: paths.socket,
    exitPath: paths.exitFile,
    logPath: paths.log,
    logFileBytesMax: spec.log.fileBytesMax,
    logFilesMax: spec.log.filesMax,
    flags: (spec.stdinOpen ? startFlag.stdin : 0) | (spec.tty ? startFlag.tty : 0),
    program,
  };
}

function planStart(context: ContainerContext, spec: ContainerSpec): StartPlan {
  const paths = pathsOf(context, spec.id);
  const cgroupPath = cgroupPathOf(context, spec.id);
  const image = requireImage(context, spec);
  const attachment = context.networks.attachment(spec.id, spec.networks);
  const deviceRules = defaultDeviceRules(containerDevices);
  const idBase = context.idLeases.lease(spec.id);
  const cgroup = cgroupDirs(context.cgroups, cgroupPath);
  return {
    process: planProcess(context, spec),
    namespaces: planNamespaces(idBase),
    idBase,
    hostname: hostnameOf(spec),
    domainname: "",
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
        shmBytes,
        idBase,
        hostProc: false,
        hostSys: false,
        hostIpc: false,
        writable: false,
        cgroup: { ...cgroup, path: cgroupPath },
      }),
      ...resolveMounts(context, spec),
    ],
    devices: [],
    symlinks: defaultSymlinks,
    maskedPaths: defaultMaskedPaths(),
    readOnlyPaths: defaultReadOnlyPaths,
    sysctls: [
      { path: "net/ipv4/ping_group_range", value: `0 ${idsPerContainer - 1}`, optional: true },
      { path: "net/ipv4/ip_unprivileged_port_start", value: "0", optional: true },
    ],
    cgroup: {
      ...cgroup,
      writes: [
        ...limitWrites(context.cgroups, cgroupPath, spec.resources),
        ...deviceWrites(context.cgroups, cgroupPath, deviceRules),
      ],
      deviceFilter: deviceFilter(context.cgroups, deviceRules),
    },
    network: { hostMessages: attachment.hostMessages, initMessages: attachment.initMessages },
    init: spec.init,
    hold: false,
  };
}
