import { mkdirSync, rmSync } from "node:fs";
import { deviceFilter, deviceWrites } from "./cgroups/cgroup-devices.ts";
import { limitWrites } from "./cgroups/cgroup-limits.ts";
import { cgroupDirs } from "./cgroups/container-cgroup.ts";
import { defaultDeviceRules } from "./cgroups/device-rules.ts";
import type { ContainerContext } from "./container-context.ts";
import { cgroupPathOf, pathsOf, stagingDirOf } from "./container-context.ts";
import { resolveMounts } from "./container-mounts.ts";
import { compileContainer, type StartPlan } from "./container-program.ts";
import type { ContainerSpec } from "./container-spec.ts";
import { requireImage } from "./create-container.ts";
import type { StartRequest } from "./launcher.ts";
import { resolveProcess } from "./process-config.ts";
import { startFlag } from "./protocol.ts";
import { seccompFilter } from "./seccomp/seccomp-filter.ts";
import { containerDevices } from "./system-mounts.ts";
import { lookUpUser } from "./user-lookup.ts";

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

/** User and environment of a further process: the container's own, with the wishes of the exec over them. */
export function planProcess(
  context: ContainerContext,
  spec: ContainerSpec,
  own: { readonly user?: string | undefined } = {},
): Pick<StartPlan, "argv" | "environment" | "workingDir" | "user"> {
  const image = requireImage(context, spec);
  const process = resolveProcess(spec, image.config);
  const user = lookUpUser(own.user ?? process.user, [
    ...image.layerDirs,
    pathsOf(context, spec.id).upper,
  ]);
  const hasHome = process.environment.some((entry) => entry.startsWith("HOME="));
  return {
    argv: process.argv,
    environment: [
      ...process.environment,
      ...(hasHome ? [] : [`HOME=${user.home}`]),
      `HOSTNAME=${hostnameOf(spec)}`,
    ],
    workingDir: process.workingDir,
    user,
  };
}

/** Docker's default hostname: the short id. */
export function hostnameOf(spec: ContainerSpec): string {
  return spec.hostname ?? spec.id.slice(0, 12);
}

function planStart(context: ContainerContext, spec: ContainerSpec): StartPlan {
  const paths = pathsOf(context, spec.id);
  const cgroupPath = cgroupPathOf(context, spec.id);
  const image = requireImage(context, spec);
  const attachment = context.networks.attachment(spec.id, spec.networks);
  const deviceRules = defaultDeviceRules(containerDevices);
  return {
    ...planProcess(context, spec),
    ...resolveMounts(context, spec),
    hostname: hostnameOf(spec),
    idBase: context.idLeases.lease(spec.id),
    layerDirs: image.layerDirs,
    writableDir: `${paths.dir}/rootfs`,
    stagingDir: stagingDirOf(context),
    cgroup: {
      path: cgroupPath,
      ...cgroupDirs(context.cgroups, cgroupPath),
      writes: [
        ...limitWrites(context.cgroups, cgroupPath, spec.resources),
        ...deviceWrites(context.cgroups, cgroupPath, deviceRules),
      ],
      deviceFilter: deviceFilter(context.cgroups, deviceRules),
    },
    network: { hostMessages: attachment.hostMessages, initMessages: attachment.initMessages },
    readOnlyRoot: spec.readOnlyRoot,
    seccomp: seccompFilter(),
    init: spec.init,
    tty: spec.tty,
    hold: false,
    shmBytes,
  };
}
