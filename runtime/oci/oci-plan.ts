import { realpathSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { CgroupHost } from "../cgroups/cgroup-host.ts";
import { deviceProgram } from "../cgroups/device-program.ts";
import type { LentLink } from "../network/lent-links.ts";
import { defaultSymlinks } from "../plan/default-mounts.ts";
import type { PlannedMount, StartPlan } from "../plan/start-plan.ts";
import { propagationFlag } from "../program/kernel-flags.ts";
import { type CgroupDirs, dirsOf } from "./cgroup-path.ts";
import { propagationOf } from "./mount-options.ts";
import type { OciConfig, OciProcess } from "./oci-config.ts";
import { deviceAllowlist, planDevices } from "./oci-devices.ts";
import { bindsDev, planMounts } from "./oci-mounts.ts";
import { planNamespaces, rootId } from "./oci-namespaces.ts";
import { planProcess } from "./oci-process.ts";
import { planSysctls } from "./oci-sysctls.ts";

/** A start as the runtime plans it, and where the content of the root is to be copied into a mount. */
export type OciPlan = {
  readonly plan: StartPlan;
  readonly copyUps: ReadonlySet<string>;
  readonly netDevices: readonly LentLink[];
};

export type OciPlace = {
  readonly bundle: string;
  /** An empty directory of the host. */
  readonly stagingDir: string;
  readonly cgroups: CgroupHost;
  readonly cgroupPath: string;
  /** As `planNetDevices` found them. */
  readonly netDevices: readonly LentLink[];
};

/** Turns a configuration into a start. Throws, naming the field, where it asks for what cannot be; changes nothing. */
export function planOci(config: OciConfig, process: OciProcess, place: OciPlace): OciPlan {
  const { linux } = config;
  refuseUnsupported(config);
  const namespaces = planNamespaces(config);
  const idBase = rootId(namespaces);
  const dirs: CgroupDirs = dirsOf(place.cgroups, place.cgroupPath);
  const { mounts, copyUps } = planMounts(config, {
    bundle: place.bundle,
    cgroup: { ...dirs, path: place.cgroupPath },
    idBase,
    ownUserNamespace: namespaces.user.kind !== "host",
  });
  const ownDev = !bindsDev(mounts);
  const devices = ownDev ? planDevices(config) : [];
  const bound = namespaces.user.kind !== "host" && !mounts.some(isHostDev);
  const rules = deviceAllowlist(place.cgroups, linux.resources?.devices ?? []);
  return {
    copyUps,
    netDevices: place.netDevices,
    plan: {
      process: planProcess(process, linux, {
        ownUserNamespace: namespaces.user.kind !== "host",
      }),
      namespaces,
      idBase,
      hostname: config.hostname ?? "",
      domainname: config.domainname ?? "",
      root: { kind: "directory", path: rootPath(config, place.bundle), ids: "none" },
      readOnlyRoot: config.root.readonly === true,
      rootPropagation: rootPropagation(linux.rootfsPropagation),
      stagingDir: attachPath(rootPath(config, place.bundle), place),
      mounts: bound ? [...mounts, ...devices.map(bindDevice)] : mounts,
      devices: bound ? [] : devices,
      symlinks: ownDev ? defaultSymlinks : [],
      maskedPaths: linux.maskedPaths ?? [],
      readOnlyPaths: linux.readonlyPaths ?? [],
      sysctls: planSysctls(linux.sysctl ?? {}, namespaces),
      cgroup: {
        ...dirs,
        writes: [],
        deviceFilter: rules === undefined ? undefined : deviceProgram(rules),
      },
      network: { hostMessages: [], initMessages: Buffer.alloc(0) },
      init: false,
      hold: false,
    },
  };
}

function isHostDev(mount: PlannedMount): boolean {
  return mount.kind === "filesystem" && mount.madeBy === "host" && mount.target === "/dev";
}

/** Whoever is root of a user namespace only may not make nodes. */
function bindDevice({ path }: { readonly path: string }): PlannedMount {
  return {
    kind: "bind",
    source: path,
    target: path,
    flags: 0,
    fileType: "file",
    recursive: false,
    recursiveFlags: false,
    ids: "none",
  };
}

function rootPath(config: OciConfig, bundle: string): string {
  const path = resolve(bundle, config.root.path);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new Error(
      `cannot use root.path ${config.root.path} because ${path} is no directory: the container's root is expected there`,
    );
  }
  return path;
}

/** Hooks mount below the root's own path, and that has to be below the container's root. Nothing is put on `/`. */
function attachPath(root: string, { stagingDir }: OciPlace): string {
  return realpathSync(root) === "/" ? stagingDir : root;
}

/** Where nothing is asked for, mounts of the host arrive and none of the container's leave. */
function rootPropagation(word: string | null | undefined): number {
  if (word == null || word === "") return propagationFlag.slave | propagationFlag.recursive;
  const propagation = propagationOf(word);
  if (propagation === undefined) {
    throw new Error(
      `cannot use linux.rootfsPropagation ${word}: shared, slave, private or unbindable is expected`,
    );
  }
  return propagation;
}

function refuseUnsupported({ linux }: OciConfig): void {
  if (linux.intelRdt != null) {
    throw new Error("cannot use linux.intelRdt because it is not supported: leave it out");
  }
  if (linux.mountLabel != null && linux.mountLabel !== "") {
    throw new Error("cannot use linux.mountLabel because SELinux is not supported: leave it out");
  }
}
