import { existsSync } from "node:fs";
import { basename } from "node:path";
import { mountAttribute } from "../program/kernel-flags.ts";
import type { PlannedMount, StartPlan } from "./start-plan.ts";

/** The device nodes that every container has: name, major, minor. */
export const containerDevices = [
  ["null", 1, 3],
  ["zero", 1, 5],
  ["full", 1, 7],
  ["random", 1, 8],
  ["urandom", 1, 9],
  ["tty", 5, 0],
] as const;

/** Hidden inside: files read as empty, directories as empty and read-only. Superset of what Docker and Podman hide. */
export function defaultMaskedPaths(): readonly string[] {
  return [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/dev/block",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
    ...thermalThrottlePaths(),
  ];
}

export const defaultReadOnlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/** Links that programs expect in /dev. */
export const defaultSymlinks: StartPlan["symlinks"] = [
  { target: "/proc/self/fd", path: "/dev/fd" },
  { target: "/proc/self/fd/0", path: "/dev/stdin" },
  { target: "/proc/self/fd/1", path: "/dev/stdout" },
  { target: "/proc/self/fd/2", path: "/dev/stderr" },
  { target: "pts/ptmx", path: "/dev/ptmx" },
];

export type DefaultMountOptions = {
  readonly shmBytes: number;
  /** Host id of the container's root. */
  readonly idBase: number;
  /** The kernel lets nobody but the namespace's owner mount a procfs: with the host's pids, the host's is shown. */
  readonly hostProc: boolean;
  /** The same for sysfs, which belongs to the network namespace. */
  readonly hostSys: boolean;
  /** The host's message queues and shared memory. */
  readonly hostIpc: boolean;
  /** /sys, /proc/sys and the cgroups may be written to. */
  readonly writable: boolean;
  /** The container's own directories, v1 ones under their controllers' names, and their common path. */
  readonly cgroup: {
    readonly v1: readonly string[];
    readonly unified: string | undefined;
    readonly path: string;
  };
};

/** /proc, /sys, /dev and what lies below them, in order. */
export function defaultMounts(options: DefaultMountOptions): readonly PlannedMount[] {
  return [
    options.hostProc
      ? hostTree("/proc", noSuid | noDev | noExec)
      : fileSystem("proc", "/proc", noSuid | noDev | noExec),
    sysMount(options),
    ...cgroupMounts(options),
    // The host makes it, so that device nodes in it can be used. It belongs to the container's root all the same.
    {
      ...fileSystem("tmpfs", "/dev", noSuid | noExec, {
        mode: "755",
        size: "65536k",
        uid: `${options.idBase}`,
        gid: `${options.idBase}`,
      }),
      madeBy: "host",
    },
    ...containerDevices.map(
      ([name, major, minor]): PlannedMount => ({
        kind: "bind",
        source: `/dev/${name}`,
        target: `/dev/${name}`,
        flags: noSuid | noExec,
        fileType: "file",
        recursive: false,
        recursiveFlags: false,
        ids: "none",
        device: { major, minor },
      }),
    ),
    fileSystem("devpts", "/dev/pts", noSuid | noExec, {
      newinstance: undefined,
      ptmxmode: "0666",
      mode: "0620",
      gid: `${ttyGroup}`,
    }),
    ...ipcMounts(options),
  ];
}

const { readOnly, noSuid, noDev, noExec } = mountAttribute;
const ttyGroup = 5;

function sysMount(options: DefaultMountOptions): PlannedMount {
  const flags = noSuid | noDev | noExec | (options.writable ? 0 : readOnly);
  return options.hostSys ? hostTree("/sys", flags) : fileSystem("sysfs", "/sys", flags);
}

function ipcMounts(options: DefaultMountOptions): readonly PlannedMount[] {
  const flags = noSuid | noDev | noExec;
  if (options.hostIpc) {
    return ["/dev/shm", "/dev/mqueue"].filter(existsSync).map((path) => hostTree(path, flags));
  }
  return [
    fileSystem("tmpfs", "/dev/shm", flags, { mode: "1777", size: `${options.shmBytes}` }),
    fileSystem("mqueue", "/dev/mqueue", flags),
  ];
}

function cgroupMounts(options: DefaultMountOptions): readonly PlannedMount[] {
  const { cgroup } = options;
  const flags = noSuid | noDev | noExec | (options.writable ? 0 : readOnly);
  if (cgroup.v1.length === 0 && cgroup.unified !== undefined) {
    return [{ ...bindTree(cgroup.unified, "/sys/fs/cgroup", flags), mustExist: true }];
  }
  return [
    {
      ...fileSystem("tmpfs", "/sys/fs/cgroup", noSuid | noDev | noExec, { mode: "755" }),
      mustExist: true,
      lateFlags: readOnly,
    },
    ...cgroup.v1.map((source) =>
      bindTree(
        source,
        `/sys/fs/cgroup/${basename(source.slice(0, source.length - cgroup.path.length))}`,
        flags,
      ),
    ),
  ];
}

function fileSystem(
  type: string,
  target: string,
  flags: number,
  parameters: Readonly<Record<string, string | undefined>> = {},
): Extract<PlannedMount, { kind: "filesystem" }> {
  return {
    kind: "filesystem",
    type,
    target,
    flags,
    madeBy: "init",
    parameters: Object.entries(parameters).map(([key, value]) =>
      value === undefined ? { kind: "flag", key } : { kind: "string", key, value },
    ),
  };
}

function bindTree(
  source: string,
  target: string,
  flags: number,
): Extract<PlannedMount, { kind: "bind" }> {
  return {
    kind: "bind",
    source,
    target,
    flags,
    fileType: "directory",
    recursive: false,
    recursiveFlags: false,
    ids: "none",
  };
}

function hostTree(path: string, flags: number): PlannedMount {
  return bindTree(path, path, flags);
}

/** Exists per CPU and only on some machines; it tells a neighbour's load (as Docker masks it). */
function thermalThrottlePaths(): readonly string[] {
  const paths: string[] = [];
  for (let cpu = 0; existsSync(`/sys/devices/system/cpu/cpu${cpu}`); cpu += 1) {
    const path = `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`;
    if (existsSync(path)) paths.push(path);
  }
  return paths;
}
