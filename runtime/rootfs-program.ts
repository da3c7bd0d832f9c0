import type { FsParameter } from "./host-operations.ts";
import { mountAttribute } from "./kernel-flags.ts";
import type { Slot } from "./operation-list.ts";
import type { Program } from "./program.ts";

/** One thing of the host that appears inside the container. */
export type HostMount = {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly kind: "directory" | "file";
  /** Take mounts below the source along. */
  readonly recursive: boolean;
  /**
   * Which ids the source carries on disk: `store` is the shifted range of everything berth keeps, `host` is the
   * host's own 0 to 65535, `none` leaves them as they are.
   */
  readonly ids: "store" | "host" | "none";
};

export type TmpfsMount = {
  readonly target: string;
  readonly sizeBytes?: number;
  readonly mode?: number;
  readonly readOnly: boolean;
};

/** Slots of mounts that are detached until the init moves them to their place. */
export type PreparedMount = { readonly slot: Slot; readonly mount: HostMount };

const { readOnly, noSuid, noDev, noExec } = mountAttribute;

/**
 * Host part: the overlay of the image's layers (lowest first) under the writable directory, all idmapped so that ids
 * of the store appear as the container's. Returns the slot of the detached root.
 */
export function prepareOverlay(
  program: Program,
  source: {
    readonly layerDirs: readonly string[];
    /** Holds `upper` and `work`. */
    readonly writableDir: string;
    readonly storeIds: Slot;
    /** Host id of the container's root: who makes the overlay's own directories. */
    readonly idBase: number;
  },
): Slot {
  const parameters: FsParameter[] = [];
  for (const layer of source.layerDirs.toReversed()) {
    const slot = program.slot();
    program.openTree(slot, layer).mountSetattr(slot, { userNamespace: source.storeIds });
    parameters.push({ kind: "fd", key: "lowerdir+", slot });
  }
  const [writable, upper, work, root] = [
    program.slot(),
    program.slot(),
    program.slot(),
    program.slot(),
  ];
  program
    .openTree(writable, source.writableDir)
    .mountSetattr(writable, { userNamespace: source.storeIds })
    .open(upper, writable, openPathDirectory, "upper")
    .open(work, writable, openPathDirectory, "work");
  parameters.push(
    { kind: "fd", key: "upperdir", slot: upper },
    { kind: "fd", key: "workdir", slot: work },
  );
  program
    .fileSystemIds(source.idBase, source.idBase)
    .fsopen(root, "overlay", noDev, parameters)
    .fileSystemIds(0, 0);
  return root;
}

/** Host part: clones each source as a detached mount. Mounts with `host` ids are idmapped later, by `mapHostIds`. */
export function prepareMounts(
  program: Program,
  mounts: readonly HostMount[],
  storeIds: Slot,
): readonly PreparedMount[] {
  return mounts.map((mount) => {
    const slot = program.slot();
    program.openTree(slot, mount.source, { recursive: mount.recursive }).mountSetattr(slot, {
      set: noSuid | noDev | (mount.readOnly ? readOnly : 0),
      // A clone is a peer of its original: a mount nested in it would appear on the host, too.
      propagation: propagationPrivate,
      recursive: mount.recursive,
      ...(mount.ids === "store" ? { userNamespace: storeIds } : {}),
    });
    return { slot, mount };
  });
}

/** Host part, once the container's user namespace exists: gives sources with the host's ids to the container. */
export function mapHostIds(
  program: Program,
  mounts: readonly PreparedMount[],
  userNamespace: Slot,
): void {
  for (const { slot, mount } of mounts) {
    if (mount.ids !== "host") continue;
    program.mountSetattr(slot, { userNamespace, recursive: mount.recursive });
  }
}

/** Init part: moves what was prepared, and the container's own tmpfs mounts, to their places, outer ones first. */
export function placeMounts(
  program: Program,
  prepared: readonly PreparedMount[],
  tmpfs: readonly TmpfsMount[],
): void {
  const places = [
    ...prepared.map(({ slot, mount }) => ({
      target: mount.target,
      place: () => program.mount(slot, mount.target, mount.kind),
    })),
    ...tmpfs.map((mount) => ({ target: mount.target, place: () => placeTmpfs(program, mount) })),
  ];
  for (const { place } of places.toSorted((a, b) => depth(a.target) - depth(b.target))) place();
}

function placeTmpfs(program: Program, mount: TmpfsMount): void {
  const slot = program.slot();
  const parameters: FsParameter[] = [
    { kind: "string", key: "mode", value: (mount.mode ?? 0o1777).toString(8) },
  ];
  if (mount.sizeBytes !== undefined) {
    parameters.push({ kind: "string", key: "size", value: `${mount.sizeBytes}` });
  }
  const attributes = noSuid | noDev | noExec | (mount.readOnly ? readOnly : 0);
  program.fsopen(slot, "tmpfs", attributes, parameters).mount(slot, mount.target, "directory");
}

function depth(path: string): number {
  return path.split("/").filter(Boolean).length;
}

/** MS_PRIVATE of mount(2). */
const propagationPrivate = 1 << 18;
/** O_PATH | O_DIRECTORY of open(2). */
const openPathDirectory = 0o10_200_000;
