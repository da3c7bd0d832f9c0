import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { ContainerSpec, Mount, MountPropagation } from "../container-spec.ts";
import type { MountIds, PlannedMount } from "../plan/start-plan.ts";
import { mountAttribute, propagationFlag } from "../program/kernel-flags.ts";
import type { ContainerContext } from "./container-context.ts";
import { pathsOf } from "./container-context.ts";
import { treeRoot } from "./tree-paths.ts";

/**
 * Resolves a container's mounts to host paths, outer ones first. Throws when a bind source is missing. `networkOf`: the
 * container whose network this one shares, and with it the files that name who is there.
 */
export function resolveMounts(
  context: ContainerContext,
  spec: ContainerSpec,
  networkOf?: string,
): readonly PlannedMount[] {
  const targets = new Set(spec.mounts.map(({ target }) => target));
  const own = ["hosts", "resolv.conf", "hostname"]
    .filter((name) => !targets.has(`/etc/${name}`))
    .map((name) =>
      bindMount({
        source: `${pathsOf(context, name === "hostname" ? spec.id : (networkOf ?? spec.id)).etc}/${name}`,
        target: `/etc/${name}`,
        readOnly: false,
        fileType: "file",
        recursive: false,
        ids: "store",
      }),
    );
  const others = spec.mounts.flatMap((mount) =>
    mount.type === "secret" ? [] : [plannedMount(context, spec, mount)],
  );
  const mounts = [...own, ...others];
  return mounts.toSorted((a, b) => depth(a.target) - depth(b.target));
}

const { readOnly, noSuid, noDev, noExec } = mountAttribute;

function plannedMount(
  context: ContainerContext,
  spec: ContainerSpec,
  mount: Exclude<Mount, { type: "secret" }>,
): PlannedMount {
  switch (mount.type) {
    case "tmpfs":
      return tmpfsMount(mount);
    case "volume":
      return bindMount({
        ...mount,
        ...volumeSource(context, spec, mount),
        recursive: false,
        ids: "store",
      });
    case "tree":
      return treeMount(context, spec, mount);
    case "bind":
      return bindMount({
        ...mount,
        ...hostSource(context, spec, mount),
        noLinks: true,
        recursive: mount.recursive ?? true,
        ids: "host",
      });
    default:
      return mount satisfies never;
  }
}

/** A container may have put links into the volume: none is followed on the way to a subpath. */
function volumeSource(
  context: ContainerContext,
  spec: ContainerSpec,
  { volume, subpath }: Extract<Mount, { type: "volume" }>,
): {
  readonly source: string;
  readonly fileType: "directory" | "file";
  readonly noLinks?: true;
} {
  const root = context.volumes.path(volume);
  if (subpath === undefined) return { source: root, fileType: "directory" };
  const source = `${realpathSync(root)}/${subpath}`;
  const found = lstatSync(source, { throwIfNoEntry: false });
  if (found === undefined)
    throw new Error(
      `cannot start ${spec.name} because there is no ${subpath} in the volume ${volume}: make it there first`,
    );
  return { source, fileType: found.isDirectory() ? "directory" : "file", noLinks: true };
}

function bindMount(mount: {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly fileType: "directory" | "file";
  readonly recursive: boolean;
  readonly ids: MountIds;
  readonly propagation?: MountPropagation;
  readonly noLinks?: boolean;
  readonly makesSource?: boolean;
}): PlannedMount {
  return {
    kind: "bind",
    source: mount.source,
    target: mount.target,
    fileType: mount.fileType,
    recursive: mount.recursive,
    recursiveFlags: true,
    ids: mount.ids,
    ...(mount.noLinks === true ? { noLinks: true } : {}),
    ...(mount.makesSource === true ? { makesSource: true } : {}),
    flags: noSuid | noDev | (mount.readOnly ? readOnly : 0),
    ...(mount.propagation === undefined ? {} : { propagation: propagations[mount.propagation] }),
  };
}

/** Throws when the tree is not on this host. */
export function treeMount(
  context: Pick<ContainerContext, "libDir">,
  spec: Pick<ContainerSpec, "name">,
  { tree, target }: Extract<Mount, { type: "tree" }>,
): PlannedMount {
  const source = treeRoot(context.libDir, tree);
  const found = lstatSync(source, { throwIfNoEntry: false });
  if (found === undefined) {
    throw new Error(
      `cannot start ${spec.name} because what it mounts at ${target} is not on this host any more: commit it again`,
    );
  }
  const fileType = found.isDirectory() ? "directory" : "file";
  return bindMount({ source, target, readOnly: true, fileType, recursive: false, ids: "store" });
}

/** Every bind is recursive here, so both forms say the same. */
const propagations: Readonly<Record<MountPropagation, number>> = {
  private: propagationFlag.private,
  rprivate: propagationFlag.private,
  slave: propagationFlag.slave,
  rslave: propagationFlag.slave,
  shared: propagationFlag.shared,
  rshared: propagationFlag.shared,
};

function tmpfsMount(mount: Extract<Mount, { type: "tmpfs" }>): PlannedMount {
  const { sizeBytes, uid, gid } = mount;
  const parameters = Object.entries({
    mode: (mount.mode ?? 0o1777).toString(8),
    ...(sizeBytes === undefined ? {} : { size: `${sizeBytes}` }),
    ...(uid === undefined ? {} : { uid: `${uid}` }),
    ...(gid === undefined ? {} : { gid: `${gid}` }),
  }).map(([key, value]) => ({ kind: "string", key, value }) as const);
  return {
    kind: "filesystem",
    type: "tmpfs",
    target: mount.target,
    flags: noSuid | noDev | (mount.exec === true ? 0 : noExec) | (mount.readOnly ? readOnly : 0),
    parameters,
    madeBy: "init",
  };
}

function depth(path: string): number {
  return path.split("/").filter(Boolean).length;
}

/**
 * The source without links. A container may have put a link into a directory of the host that it writes to: what counts
 * is where it leads, and the helper follows none that comes later, nor makes a directory through one.
 */
function hostSource(
  context: ContainerContext,
  spec: ContainerSpec,
  mount: Extract<Mount, { type: "bind" }>,
): {
  readonly source: string;
  readonly fileType: "directory" | "file";
  readonly makesSource?: true;
} {
  const source = resolveExisting(mount.source);
  if (!context.admitBind({ source, readOnly: mount.readOnly, labels: spec.labels })) {
    throw new Error(
      `cannot start ${spec.name} because its bind source ${mount.source} leads to ${source}, which the policy of this host does not allow: allow it there, or mount another directory`,
    );
  }
  const found = lstatSync(source, { throwIfNoEntry: false });
  if (found !== undefined) return { source, fileType: found.isDirectory() ? "directory" : "file" };
  if (!mount.createHostPath) {
    throw new Error(
      `cannot start ${spec.name} because the bind source ${mount.source} does not exist: create it, or set create_host_path`,
    );
  }
  return { source, fileType: "directory", makesSource: true };
}

/** What exists of a path with its links resolved, and the rest as it stands. */
function resolveExisting(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    const parent = dirname(path);
    return parent === path ? path : join(resolveExisting(parent), basename(path));
  }
}
