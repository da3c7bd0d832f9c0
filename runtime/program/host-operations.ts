import type { WireWriter } from "../helper/wire.ts";
import { op, packFlag, SLOT_NONE } from "../protocol.ts";
import { mountAttribute } from "./kernel-flags.ts";
import { NetworkOperations } from "./network-operations.ts";
import type { OpOptions, Slot } from "./operation-list.ts";

export type FsParameter =
  | { readonly kind: "flag"; readonly key: string }
  | { readonly kind: "string"; readonly key: string; readonly value: string }
  | { readonly kind: "fd"; readonly key: string; readonly slot: Slot };

/** Operations of the supervisor, or of the child that RUN makes: with the host's rights. */
export class HostOperations extends NetworkOperations {
  makeHostDir(path: string, mode: number): this {
    return this.op(op.mkdir, {}, (w) => w.u32(mode).u32(1).string(path));
  }

  writeHostFile(path: string, data: string, options: OpOptions = {}): this {
    return this.op(op.writeFile, options, (w) =>
      w.u32(0).u32(0).string(path).bytes(Buffer.from(data)),
    );
  }

  open(
    slot: Slot,
    base: Slot | null,
    openFlags: number,
    path: string,
    options: OpOptions = {},
  ): this {
    return this.op(op.open, options, (w) =>
      w
        .u32(slot)
        .u32(base ?? SLOT_NONE)
        .u32(openFlags)
        .string(path),
    );
  }

  /** A directory of the host by its absolute path; what is missing of it is made, and no link is followed. */
  openOrMakeDirs(slot: Slot, path: string, mode: number): this {
    return this.op(op.openOrMakeDirs, {}, (w) => w.u32(slot).u32(mode).string(path));
  }

  openTree(
    slot: Slot,
    path: string,
    expect: {
      readonly recursive?: boolean;
      readonly rdev?: bigint;
      readonly fileType?: number;
    } = {},
    base: Slot | null = null,
  ): this {
    const flags = openTreeClone | (expect.recursive === true ? atRecursive : 0);
    return this.op(op.openTree, {}, (w) =>
      w
        .u32(slot)
        .u32(base ?? SLOT_NONE)
        .u32(flags)
        .u64(expect.rdev ?? 0n)
        .u32(expect.fileType ?? 0)
        .string(path),
    );
  }

  mountSetattr(
    slot: Slot,
    attributes: {
      readonly set?: number;
      readonly clear?: number;
      readonly propagation?: number;
      readonly recursive?: boolean;
      readonly userNamespace?: Slot;
    },
    options: OpOptions = {},
  ): this {
    const idmap = attributes.userNamespace === undefined ? 0 : mountAttribute.idmap;
    return this.op(op.mountSetattr, options, (w) =>
      w
        .u32(slot)
        .u32(attributes.recursive === true ? 1 : 0)
        .u64((attributes.set ?? 0) | idmap)
        .u64((attributes.clear ?? 0) | clearedBy(attributes.set ?? 0))
        .u64(attributes.propagation ?? 0)
        .u32(attributes.userNamespace ?? SLOT_NONE),
    );
  }

  fsopen(
    slot: Slot,
    fileSystem: string,
    attributes: number,
    parameters: readonly FsParameter[],
    options: OpOptions = {},
  ): this {
    return this.op(op.fsopen, options, (w) =>
      w
        .u32(slot)
        .string(fileSystem)
        .u64(attributes)
        .list(parameters, (parameter) => writeFsParameter(w, parameter)),
    );
  }

  userNamespace(slot: Slot, uidMap: string, gidMap: string): this {
    return this.op(op.userNamespace, {}, (w) => w.u32(slot).string(uidMap).string(gidMap));
  }

  cgroupAttach(directory: string): this {
    return this.op(op.cgroupAttach, {}, (w) => w.string(directory));
  }

  cgroupDevices(directory: string, program: Uint8Array): this {
    return this.op(op.cgroupDevices, {}, (w) => w.string(directory).bytes(program));
  }

  unlink(path: string, options: { readonly directory: boolean } & OpOptions): this {
    return this.op(op.unlink, options, (w) => w.u32(options.directory ? 1 : 0).string(path));
  }

  /** `limitMs`: it fails when it takes longer; 0 is no limit. */
  copyTree(source: Slot, destination: Slot, limitMs = 0): this {
    return this.op(op.copyTree, {}, (w) => w.u32(source).u32(destination).u32(limitMs));
  }

  /** The tree in `source` goes as a tar archive to whoever listens at `socketPath`. */
  pack(
    source: Slot,
    order: {
      readonly changesOnly: boolean;
      readonly idBase: number;
      readonly bytesMax: number;
      readonly entriesMax: number;
      readonly socketPath: string;
    },
  ): this {
    return this.op(op.pack, {}, (w) =>
      w
        .u32(source)
        .u32(order.changesOnly ? packFlag.changes : 0)
        .u32(order.idBase)
        .u64(order.bytesMax)
        .u32(order.entriesMax)
        .string(order.socketPath),
    );
  }

  /** Opens what `label` writes to; before `passFds`. */
  childLabel(slot: Slot, securityModule: 1 | 2): this {
    return this.op(op.childLabel, {}, (w) => w.u32(slot).u32(securityModule));
  }

  /** Of RUN only: what the upper directory of an overlay changes of its lower tree. */
  treeChanges(
    upper: Slot,
    lower: Slot,
    limits: { readonly bytesMax: number; readonly limitMs: number },
  ): this {
    return this.op(op.treeChanges, {}, (w) =>
      w.u32(upper).u32(lower).u64(limits.bytesMax).u32(limits.limitMs),
    );
  }

  /** `directory` gets owner, mode, times and extended attributes of `model`. */
  dress(model: Slot, directory: Slot): this {
    return this.op(op.dress, {}, (w) => w.u32(model).u32(directory));
  }

  fileSystemIds(uid: number, gid: number): this {
    return this.op(op.fsIds, {}, (w) => w.u32(uid).u32(gid));
  }

  /** The init is made from inside this namespace; before `clone`. */
  enter(namespace: Slot, cloneFlag: number): this {
    return this.op(op.enter, {}, (w) => w.u32(namespace).u64(cloneFlag));
  }

  /** `directory` null: the container's root, once there is one. `mode` has the type's bits. */
  makeNode(
    directory: Slot | null,
    node: {
      readonly path: string;
      readonly mode: number;
      readonly rdev: bigint;
      readonly uid: number;
      readonly gid: number;
    },
  ): this {
    return this.op(op.makeNode, {}, (w) =>
      w
        .u32(directory ?? SLOT_NONE)
        .u32(node.mode)
        .u64(node.rdev)
        .u32(node.uid)
        .u32(node.gid)
        .string(node.path),
    );
  }

  /** Of the time namespace that `clone` makes, as timens_offsets of proc(5) takes them; before `clone`. */
  timeOffsets(lines: string): this {
    return this.op(op.timeOffsets, {}, (w) => w.string(lines));
  }

  /** One bit a CPU, little-endian, in whole words of 64: of the process itself, and of what is cloned after it. */
  affinity(cpus: Uint8Array): this {
    return this.op(op.affinity, {}, (w) => w.bytes(cpus));
  }

  clone(cloneFlags: number, cgroup: Slot | null): this {
    return this.op(op.clone, {}, (w) => w.u64(cloneFlags).u32(cgroup ?? SLOT_NONE));
  }

  join(cloneFlags: number, cgroup: Slot | null): this {
    return this.op(op.join, {}, (w) => w.u32(cloneFlags).u32(cgroup ?? SLOT_NONE));
  }

  idMap(uidMap: string, gidMap: string): this {
    return this.op(op.idMap, {}, (w) => w.string(uidMap).string(gidMap));
  }

  childNamespace(slot: Slot, name: string): this {
    return this.op(op.childNamespace, {}, (w) => w.u32(slot).string(name));
  }

  childOomScore(score: number): this {
    return this.op(op.childOomScore, {}, (w) => w.u32(score >>> 0));
  }

  childRlimit(resource: number, soft: bigint, hard: bigint): this {
    return this.op(op.childRlimit, {}, (w) => w.u32(resource).u64(soft).u64(hard));
  }

  passFds(): this {
    return this.op(op.passFds);
  }

  notify(): this {
    return this.op(op.notify);
  }

  initBegin(): this {
    return this.op(op.initBegin);
  }
}

const openTreeClone = 1;
const atRecursive = 0x8000;
/** MOUNT_ATTR__ATIME. */
const accessTimeModes = 0x70;

/** mount_setattr(2): who sets one of the access time modes has to clear all of them. */
function clearedBy(set: number): number {
  return (set & accessTimeModes) === 0 ? 0 : accessTimeModes;
}

function writeFsParameter(writer: WireWriter, parameter: FsParameter): void {
  const kind = { flag: 0, string: 1, fd: 2 }[parameter.kind];
  writer
    .u32(kind)
    .string(parameter.key)
    .string(parameter.kind === "string" ? parameter.value : "")
    .u32(parameter.kind === "fd" ? parameter.slot : SLOT_NONE);
}
