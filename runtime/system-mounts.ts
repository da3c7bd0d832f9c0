import { existsSync, statSync } from "node:fs";
import { basename } from "node:path";
import { mountAttribute } from "./kernel-flags.ts";
import type { Slot } from "./operation-list.ts";
import type { Program } from "./program.ts";

/** Detached mounts of the host's that every container gets: device nodes and its own cgroup. */
export type SystemMounts = {
  readonly devices: readonly { readonly name: string; readonly slot: Slot }[];
  readonly cgroups: readonly { readonly target: string; readonly slot: Slot }[];
  readonly nullDevice: Slot;
};

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
const maskedPaths = [
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
] as const;

const readOnlyPaths = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
] as const;

const { readOnly, noSuid, noDev, noExec } = mountAttribute;
const characterDevice = 0o020_000;
const ttyGroup = 5;

/** Host part. `cgroupDirs`: the container's own directories, v1 ones under their controllers' names. */
export function prepareSystemMounts(
  program: Program,
  cgroups: {
    readonly v1: readonly string[];
    readonly unified: string | undefined;
    readonly path: string;
  },
): SystemMounts {
  const devices = containerDevices.map(([name, major, minor]) => {
    const slot = program.slot();
    const rdev = deviceNumber(major, minor);
    program
      .openTree(slot, `/dev/${name}`, { rdev, fileType: characterDevice })
      .mountSetattr(slot, { set: noSuid | noExec });
    return { name, slot };
  });
  const nullDevice = devices[0]?.slot;
  if (nullDevice === undefined) throw new Error("cannot prepare devices: the list is empty");
  return { devices, cgroups: prepareCgroupMounts(program, cgroups), nullDevice };
}

/** Init part, before the pivot: /proc, /sys, /dev and what lies below them. The kernel wants the host's /proc in sight. */
export function placeSystemMounts(
  program: Program,
  mounts: SystemMounts,
  options: { readonly shmBytes: number },
): void {
  const [proc, sys] = [program.slot(), program.slot()];
  program
    .fsopen(proc, "proc", noSuid | noDev | noExec, [])
    .mount(proc, "/proc", "directory")
    .fsopen(sys, "sysfs", noSuid | noDev | noExec | readOnly, [])
    .mount(sys, "/sys", "directory");
  placeCgroups(program, mounts);
  placeDev(program, mounts, options.shmBytes);
}

/** Init part, after every mount is in place. */
export function maskPaths(program: Program, nullDevice: Slot): void {
  const empty = program.slot();
  program.fsopen(empty, "tmpfs", readOnly | noSuid | noDev | noExec, [
    { kind: "string", key: "size", value: "4096" },
    { kind: "string", key: "mode", value: "555" },
  ]);
  for (const path of maskedPaths) program.mask(nullDevice, empty, path);
  for (const path of thermalThrottlePaths()) program.mask(nullDevice, empty, path);
  for (const path of readOnlyPaths) program.readOnly(path);
}

/** dev_t of makedev(3). */
function deviceNumber(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (
    ((high & 0xffff_f000n) << 32n) |
    ((high & 0xfffn) << 8n) |
    ((low & 0xffff_ff00n) << 12n) |
    (low & 0xffn)
  );
}

function placeDev(program: Program, mounts: SystemMounts, shmBytes: number): void {
  const [dev, pts, shm, mqueue] = [program.slot(), program.slot(), program.slot(), program.slot()];
  program
    .fsopen(dev, "tmpfs", noSuid | noExec, [
      { kind: "string", key: "mode", value: "755" },
      { kind: "string", key: "size", value: "65536k" },
    ])
    .mount(dev, "/dev", "directory");
  for (const { name, slot } of mounts.devices) program.mount(slot, `/dev/${name}`, "file");
  program
    .fsopen(pts, "devpts", noSuid | noExec, [
      { kind: "flag", key: "newinstance" },
      { kind: "string", key: "ptmxmode", value: "0666" },
      { kind: "string", key: "mode", value: "0620" },
      { kind: "string", key: "gid", value: `${ttyGroup}` },
    ])
    .mount(pts, "/dev/pts", "directory")
    .fsopen(shm, "tmpfs", noSuid | noDev | noExec, [
      { kind: "string", key: "mode", value: "1777" },
      { kind: "string", key: "size", value: `${shmBytes}` },
    ])
    .mount(shm, "/dev/shm", "directory")
    .fsopen(mqueue, "mqueue", noSuid | noDev | noExec, [])
    .mount(mqueue, "/dev/mqueue", "directory")
    .makeSymlink("/proc/self/fd", "/dev/fd")
    .makeSymlink("/proc/self/fd/0", "/dev/stdin")
    .makeSymlink("/proc/self/fd/1", "/dev/stdout")
    .makeSymlink("/proc/self/fd/2", "/dev/stderr")
    .makeSymlink("pts/ptmx", "/dev/ptmx");
}

function prepareCgroupMounts(
  program: Program,
  cgroups: {
    readonly v1: readonly string[];
    readonly unified: string | undefined;
    readonly path: string;
  },
): SystemMounts["cgroups"] {
  const sources =
    cgroups.v1.length === 0 && cgroups.unified !== undefined
      ? [{ source: cgroups.unified, target: "/sys/fs/cgroup" }]
      : cgroups.v1.map((source) => ({
          source,
          target: `/sys/fs/cgroup/${basename(source.slice(0, -cgroups.path.length))}`,
        }));
  return sources.map(({ source, target }) => {
    const slot = program.slot();
    program.openTree(slot, source).mountSetattr(slot, { set: readOnly | noSuid | noDev | noExec });
    return { target, slot };
  });
}

function placeCgroups(program: Program, mounts: SystemMounts): void {
  const own = mounts.cgroups.find(({ target }) => target === "/sys/fs/cgroup");
  if (own !== undefined) {
    program.mount(own.slot, own.target, "no");
    return;
  }
  const tree = program.slot();
  program
    .fsopen(tree, "tmpfs", noSuid | noDev | noExec, [{ kind: "string", key: "mode", value: "755" }])
    .mount(tree, "/sys/fs/cgroup", "no");
  for (const { target, slot } of mounts.cgroups) program.mount(slot, target, "directory");
  program.mountSetattr(tree, { set: readOnly });
}

/** Exists per CPU and only on some machines; it tells a neighbour's load (as Docker masks it). */
function thermalThrottlePaths(): readonly string[] {
  const paths: string[] = [];
  for (let cpu = 0; existsSync(`/sys/devices/system/cpu/cpu${cpu}`); cpu += 1) {
    const path = `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`;
    if (statSync(path, { throwIfNoEntry: false }) !== undefined) paths.push(path);
  }
  return paths;
}
