import { statSync } from "node:fs";
import { basename, resolve } from "node:path";
import type { IdMaps, PlannedMount } from "../plan/start-plan.ts";
import { mountAttribute, propagationFlag } from "../program/kernel-flags.ts";
import { type MountOptions, readMountOptions } from "./mount-options.ts";
import type { OciConfig, OciMount } from "./oci-config.ts";

/** What the mounts of a configuration depend on besides themselves. */
export type MountSurroundings = {
  readonly bundle: string;
  /** The container's own cgroup directories, and their common path. */
  readonly cgroup: {
    readonly v1: readonly string[];
    readonly unified: string | undefined;
    readonly path: string;
  };
  /** Host id of the container's root. */
  readonly idBase: number;
  readonly ownUserNamespace: boolean;
};

/** Mounts in the order of the configuration, and where the content of the root is to be copied into them. */
export type OciMounts = {
  readonly mounts: readonly PlannedMount[];
  readonly copyUps: ReadonlySet<string>;
};

/** `mounts` of a configuration. Throws where one asks for what cannot be. */
export function planMounts(config: OciConfig, around: MountSurroundings): OciMounts {
  const copyUps = new Set<string>();
  const mounts = (config.mounts ?? []).flatMap((mount, index): readonly PlannedMount[] => {
    const options = readMountOptions(mount.options ?? []);
    const target = absolute(mount.destination);
    if (options.copyUp) copyUps.add(target);
    if (options.bind || mount.type === "bind") {
      return [bindMount(mount, { ...options, bind: true }, target, { around, index })];
    }
    if (mount.type === "cgroup" || mount.type === "cgroup2") {
      return cgroupMounts(target, options, around.cgroup);
    }
    return [fileSystemMount(mount, options, target, { around, index })];
  });
  return { mounts, copyUps };
}

/** True when the configuration puts something of the host's in place of the container's own /dev. */
export function bindsDev(mounts: readonly PlannedMount[]): boolean {
  return mounts.some(({ kind, target }) => kind === "bind" && target === "/dev");
}

const { readOnly } = mountAttribute;

function absolute(path: string): string {
  // Before 1.2 of the specification a relative destination was one from the root.
  return resolve("/", path);
}

function bindMount(
  mount: OciMount,
  options: MountOptions,
  target: string,
  { around, index }: { readonly around: MountSurroundings; readonly index: number },
): PlannedMount {
  const source = resolve(around.bundle, mount.source ?? "");
  const found = statSync(source, { throwIfNoEntry: false });
  if (mount.source == null || mount.source === "" || found === undefined) {
    throw new Error(
      `cannot mount mounts[${index}] at ${target} because its source ${source} does not exist: no such file or directory`,
    );
  }
  const flags = options.flags | options.recursiveFlags;
  return {
    kind: "bind",
    source,
    target,
    flags,
    fileType: found.isDirectory() ? "directory" : "file",
    recursive: options.recursive,
    recursiveFlags: options.recursiveFlags !== 0,
    ids: mountIds(mount, options),
    propagation: bindPropagation(options.propagation),
  };
}

/** MS_REC says how far it goes, which a clone that takes all along makes the same. Made by default: a slave. */
function bindPropagation(asked: number | undefined): number {
  if (asked === undefined) return propagationFlag.slave;
  return asked & ~propagationFlag.recursive;
}

function mountIds(mount: OciMount, options: MountOptions): IdMaps | "none" {
  const { uidMappings: uids, gidMappings: gids } = mount;
  if (uids == null || gids == null || uids.length === 0) {
    if (!options.idmap) return "none";
    throw new Error(
      `cannot map the ids of the mount at ${mount.destination} because it has no uidMappings and gidMappings: name them`,
    );
  }
  return { uids: uids.map(toRange), gids: gids.map(toRange) };
}

export function toRange(mapping: {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}) {
  return { inside: mapping.containerID, outside: mapping.hostID, count: mapping.size };
}

function fileSystemMount(
  mount: OciMount,
  options: MountOptions,
  target: string,
  { around, index }: { readonly around: MountSurroundings; readonly index: number },
): PlannedMount {
  const type = mount.type ?? "";
  if (type === "") throw new Error(`cannot mount mounts[${index}] at ${target}: it has no type`);
  // Device nodes work only in a file system that the host has made.
  const byHost = around.ownUserNamespace && type === "tmpfs" && target === "/dev";
  const owner = { uid: `${around.idBase}`, gid: `${around.idBase}` };
  const named = new Set(options.parameters.map(({ key }) => key));
  const own = byHost ? Object.entries(owner).filter(([key]) => !named.has(key)) : [];
  const source = mount.source == null || mount.source === "" ? [] : [["source", mount.source]];
  const flags = options.flags | options.recursiveFlags;
  // What is mounted below it, and the devices, need their places in it first.
  const isLate = target === "/dev" && (flags & readOnly) !== 0;
  return {
    kind: "filesystem",
    type,
    target,
    flags: isLate ? flags & ~readOnly : flags,
    ...(isLate ? { lateFlags: readOnly } : {}),
    madeBy: byHost ? "host" : "init",
    parameters: [
      ...[...source, ...own].map(([key = "", value = ""]) => ({
        kind: "string" as const,
        key,
        value,
      })),
      ...options.parameters.filter(({ key }) => !(type === "mqueue" && key === "gid")),
    ],
    ...(options.propagation === undefined
      ? {}
      : { propagation: options.propagation & ~propagationFlag.recursive }),
  };
}

/** The container's own cgroups: a bind of each, which no other cgroup can be reached through. */
function cgroupMounts(
  target: string,
  options: MountOptions,
  cgroup: MountSurroundings["cgroup"],
): readonly PlannedMount[] {
  const bind = (source: string, place: string): PlannedMount => ({
    kind: "bind",
    source,
    target: place,
    flags: options.flags,
    fileType: "directory",
    recursive: false,
    recursiveFlags: false,
    ids: "none",
  });
  if (cgroup.v1.length === 0) {
    return cgroup.unified === undefined ? [] : [bind(cgroup.unified, target)];
  }
  return [
    {
      kind: "filesystem",
      type: "tmpfs",
      target,
      flags: options.flags & ~readOnly,
      madeBy: "init",
      parameters: [{ kind: "string", key: "mode", value: "755" }],
      lateFlags: options.flags & readOnly,
    },
    ...cgroup.v1.map((source) =>
      bind(source, `${target}/${basename(source.slice(0, source.length - cgroup.path.length))}`),
    ),
  ];
}
