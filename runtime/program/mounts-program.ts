import { idsPerContainer } from "../containers/id-leases.ts";
import { LAYER_ID_BASE } from "../images/layer-ids.ts";
import type { IdMaps, IdRange, MountIds, PlannedMount, StartPlan } from "../plan/start-plan.ts";
import { mountAttribute, propagationFlag } from "./kernel-flags.ts";
import type { Slot } from "./operation-list.ts";
import type { Program } from "./program.ts";

/** A mount that is detached until the init moves it to its place. */
type PreparedMount = { readonly mount: PlannedMount; readonly slot: Slot };

/** What the host's part of a program has made ready for the init's part. */
export type PreparedMounts = {
  readonly places: readonly PreparedMount[];
  readonly nullDevice: Slot | undefined;
};

/** uid_map and gid_map of user_namespaces(7). */
export function mapText(ranges: readonly IdRange[]): string {
  return ranges.map(({ inside, outside, count }) => `${inside} ${outside} ${count}\n`).join("");
}

/** Host part: clones each source as a detached mount, and makes what only the host may make. */
export function prepareMounts(
  program: Program,
  plan: Pick<StartPlan, "mounts" | "devices" | "maskedPaths" | "idBase">,
  storeIds: () => Slot,
): PreparedMounts {
  const places = plan.mounts.map((mount): PreparedMount => {
    const slot = program.slot();
    if (mount.kind === "bind") prepareBind(program, slot, mount, storeIds);
    if (mount.kind === "filesystem" && mount.madeBy === "host") {
      program.fsopen(slot, mount.type, mount.flags, mount.parameters);
      for (const file of mount.files ?? []) program.putFile(slot, file);
      if (mount.sealFlags !== undefined) program.mountSetattr(slot, { set: mount.sealFlags });
    }
    return { mount, slot };
  });
  makeHostNodes(program, plan, places);
  return { places, nullDevice: plan.maskedPaths.length === 0 ? undefined : openNull(program) };
}

/** Host part, once the container's user namespace exists: gives sources with the host's ids to the container. */
export function mapHostIds(
  program: Program,
  { places }: PreparedMounts,
  userNamespace: () => Slot,
): void {
  for (const { mount, slot } of places) {
    if (mount.kind !== "bind" || mount.ids !== "host") continue;
    program.mountSetattr(slot, { userNamespace: userNamespace(), recursive: mount.recursive });
  }
}

/** Init part: moves what was prepared, and the file systems that the init makes, to their places. */
export function placeMounts(program: Program, { places }: PreparedMounts): void {
  for (const { mount, slot } of places) {
    if (mount.kind === "filesystem" && mount.madeBy === "init") {
      program.fsopen(slot, mount.type, mount.flags, mount.parameters);
    }
    if (mount.kind === "inside") {
      program.bindFromRoot(slot, mount.source, { clone: true }).mount(slot, mount.target, "file");
      continue;
    }
    const create = mount.kind === "bind" ? mount.fileType : "directory";
    program.mount(slot, mount.target, mount.mustExist === true ? "no" : create);
    if (mount.kind === "filesystem" && mount.propagation !== undefined) {
      program.mountSetattr(slot, { propagation: mount.propagation });
    }
  }
}

/** Init part, after every mount is in place. */
export function sealMounts(
  program: Program,
  { places, nullDevice }: PreparedMounts,
  paths: Pick<StartPlan, "maskedPaths" | "readOnlyPaths">,
): void {
  for (const { mount, slot } of places) {
    if (mount.kind === "filesystem" && mount.lateFlags !== undefined) {
      program.mountSetattr(slot, { set: mount.lateFlags });
    }
  }
  if (nullDevice !== undefined) maskPaths(program, nullDevice, paths.maskedPaths);
  for (const path of paths.readOnlyPaths) program.readOnly(path);
}

/** Host part: a user namespace of no process that carries these maps, for an idmapped mount. */
function mapNamespace(program: Program, maps: IdMaps): Slot {
  const slot = program.slot();
  program.userNamespace(slot, mapText(maps.uids), mapText(maps.gids));
  return slot;
}

/** Host part: what gives files of the store to the container whose root is this id of the host. */
export function storeNamespace(program: Program, idBase: number): Slot {
  const range = [{ inside: LAYER_ID_BASE, outside: idBase, count: idsPerContainer }];
  return mapNamespace(program, { uids: range, gids: range });
}

/** Host part: the namespace slot that turns these ids into the container's; undefined where none is needed yet. */
export function idsNamespace(
  program: Program,
  ids: MountIds,
  storeIds: () => Slot,
): { readonly userNamespace: Slot } | undefined {
  if (ids === "store") return { userNamespace: storeIds() };
  if (ids === "none" || ids === "host") return undefined;
  return { userNamespace: mapNamespace(program, ids) };
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

const { readOnly, noSuid, noDev, noExec } = mountAttribute;
/** O_PATH | O_DIRECTORY of open(2). */
const openPathDirectory = 0o10_200_000;
const characterDevice = 0o020_000;
const nodeTypes = { c: characterDevice, b: 0o060_000, p: 0o010_000 };

function prepareBind(
  program: Program,
  slot: Slot,
  mount: Extract<PlannedMount, { kind: "bind" }>,
  storeIds: () => Slot,
): void {
  const expected = {
    recursive: mount.recursive,
    ...(mount.device === undefined
      ? {}
      : {
          rdev: deviceNumber(mount.device.major, mount.device.minor),
          fileType: characterDevice,
        }),
  };
  if (mount.makesSource === true) {
    const directory = program.slot();
    program.openOrMakeDirs(directory, mount.source, 0o755).openTree(slot, "", expected, directory);
  } else if (mount.noLinks === true) {
    const root = program.slot();
    program
      .open(root, null, openPathDirectory, "/")
      .openTree(slot, mount.source.slice(1), expected, root);
  } else {
    program.openTree(slot, mount.source, expected);
  }
  const ids = idsNamespace(program, mount.ids, storeIds);
  const propagation = mount.propagation ?? propagationFlag.private;
  if (mount.recursiveFlags || !mount.recursive) {
    program.mountSetattr(slot, {
      set: mount.flags,
      propagation,
      recursive: mount.recursive,
      ...ids,
    });
    return;
  }
  program
    .mountSetattr(slot, { propagation, recursive: true, ...ids })
    .mountSetattr(slot, { set: mount.flags });
}

/** Nodes below a file system that the host makes; all others are the init's to make. */
function makeHostNodes(
  program: Program,
  plan: Pick<StartPlan, "devices" | "idBase">,
  places: readonly PreparedMount[],
): void {
  for (const node of plan.devices) {
    const place = hostPlaceOf(node.path, places);
    if (place === undefined) continue;
    program.makeNode(place.slot, {
      path: node.path.slice(place.mount.target.length),
      mode: nodeTypes[node.type] | node.mode,
      rdev: deviceNumber(node.major, node.minor),
      uid: plan.idBase + node.uid,
      gid: plan.idBase + node.gid,
    });
  }
}

/** Init part: nodes of a root without a file system of the host's in their place. Needs the host's CAP_MKNOD. */
export function makeOwnNodes(
  program: Program,
  plan: Pick<StartPlan, "devices">,
  { places }: PreparedMounts,
): void {
  for (const node of plan.devices) {
    if (hostPlaceOf(node.path, places) !== undefined) continue;
    program.makeNode(null, {
      path: node.path,
      mode: nodeTypes[node.type] | node.mode,
      rdev: deviceNumber(node.major, node.minor),
      uid: node.uid,
      gid: node.gid,
    });
  }
}

function hostPlaceOf(path: string, places: readonly PreparedMount[]): PreparedMount | undefined {
  return places.find(
    ({ mount }) =>
      mount.kind === "filesystem" &&
      mount.madeBy === "host" &&
      path.startsWith(`${mount.target.replace(/\/+$/, "")}/`),
  );
}

function openNull(program: Program): Slot {
  const slot = program.slot();
  program
    .openTree(slot, "/dev/null", { rdev: deviceNumber(1, 3), fileType: characterDevice })
    .mountSetattr(slot, { set: readOnly | noSuid | noExec, propagation: propagationFlag.private });
  return slot;
}

function maskPaths(program: Program, nullDevice: Slot, paths: readonly string[]): void {
  const empty = program.slot();
  program.fsopen(empty, "tmpfs", readOnly | noSuid | noDev | noExec, [
    { kind: "string", key: "size", value: "4096" },
    { kind: "string", key: "mode", value: "555" },
  ]);
  for (const path of paths) program.mask(nullDevice, empty, path);
}
