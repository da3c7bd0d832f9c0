import { op, opFlag, SLOT_NONE } from "./protocol.ts";
import { WireWriter } from "./wire.ts";

/** A number from 0 to `SLOTS - 1`: where an operation leaves a descriptor for a later one. */
export type Slot = number;

export type FsParameter =
  | { readonly kind: "flag"; readonly key: string }
  | { readonly kind: "string"; readonly key: string; readonly value: string }
  | { readonly kind: "fd"; readonly key: string; readonly slot: Slot };

export type OpOptions = {
  /** Any failure is passed over. */
  readonly optional?: boolean;
  /** A missing path is passed over. */
  readonly mayBeAbsent?: boolean;
};

/** Builds the flat list of operations that the helper carries out in order. One method an operation. */
export class Program {
  readonly #writer = new WireWriter();
  #slots = 0;

  slot(): Slot {
    this.#slots += 1;
    return this.#slots - 1;
  }

  makeHostDir(path: string, mode: number): this {
    return this.#op(op.mkdir, {}, (w) => w.u32(mode).u32(1).string(path));
  }

  writeHostFile(path: string, data: string, options: OpOptions = {}): this {
    return this.#op(op.writeFile, options, (w) =>
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
    return this.#op(op.open, options, (w) =>
      w
        .u32(slot)
        .u32(base ?? SLOT_NONE)
        .u32(openFlags)
        .string(path),
    );
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
    return this.#op(op.openTree, {}, (w) =>
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
    return this.#op(op.mountSetattr, options, (w) =>
      w
        .u32(slot)
        .u32(attributes.recursive === true ? 1 : 0)
        .u64((attributes.set ?? 0) | idmap)
        .u64(attributes.clear ?? 0)
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
    return this.#op(op.fsopen, options, (w) =>
      w
        .u32(slot)
        .string(fileSystem)
        .u64(attributes)
        .list(parameters, (parameter) => writeFsParameter(w, parameter)),
    );
  }

  userNamespace(slot: Slot, uidMap: string, gidMap: string): this {
    return this.#op(op.userNamespace, {}, (w) => w.u32(slot).string(uidMap).string(gidMap));
  }

  netlink(
    family: number,
    messages: Uint8Array,
    options: { readonly patchOffset?: number; readonly replies?: boolean } & OpOptions = {},
  ): this {
    return this.#op(op.netlink, options, (w) =>
      w
        .u32(family)
        .u32(options.patchOffset ?? SLOT_NONE)
        .u32(options.replies === true ? 1 : 0)
        .bytes(messages),
    );
  }

  cgroupAttach(directory: string): this {
    return this.#op(op.cgroupAttach, {}, (w) => w.string(directory));
  }

  cgroupDevices(directory: string, program: Uint8Array): this {
    return this.#op(op.cgroupDevices, {}, (w) => w.string(directory).bytes(program));
  }

  unlink(path: string, options: { readonly directory: boolean } & OpOptions): this {
    return this.#op(op.unlink, options, (w) => w.u32(options.directory ? 1 : 0).string(path));
  }

  copyTree(source: Slot, destination: Slot): this {
    return this.#op(op.copyTree, {}, (w) => w.u32(source).u32(destination));
  }

  clone(cloneFlags: number, cgroup: Slot | null): this {
    return this.#op(op.clone, {}, (w) => w.u64(cloneFlags).u32(cgroup ?? SLOT_NONE));
  }

  join(cloneFlags: number): this {
    return this.#op(op.join, {}, (w) => w.u32(cloneFlags));
  }

  idMap(uidMap: string, gidMap: string): this {
    return this.#op(op.idMap, {}, (w) => w.string(uidMap).string(gidMap));
  }

  childNamespace(slot: Slot, name: string): this {
    return this.#op(op.childNamespace, {}, (w) => w.u32(slot).string(name));
  }

  childOomScore(score: number): this {
    return this.#op(op.childOomScore, {}, (w) => w.u32(score >>> 0));
  }

  passFds(): this {
    return this.#op(op.passFds);
  }

  notify(): this {
    return this.#op(op.notify);
  }

  initBegin(): this {
    return this.#op(op.initBegin);
  }

  takeFds(): this {
    return this.#op(op.takeFds);
  }

  await(): this {
    return this.#op(op.await);
  }

  privateMounts(): this {
    return this.#op(op.privateMounts);
  }

  attachRoot(slot: Slot, hostDirectory: string): this {
    return this.#op(op.attachRoot, {}, (w) => w.u32(slot).string(hostDirectory));
  }

  mount(
    slot: Slot,
    path: string,
    create: "no" | "directory" | "file",
    options: OpOptions = {},
  ): this {
    const kind = { no: 0, directory: 1, file: 2 }[create];
    const mode = create === "file" ? 0o644 : 0o755;
    return this.#op(op.mount, options, (w) => w.u32(slot).u32(kind).u32(mode).string(path));
  }

  makeDir(path: string, mode: number): this {
    return this.#op(op.makeDir, {}, (w) => w.u32(mode).string(path));
  }

  makeSymlink(target: string, path: string): this {
    return this.#op(op.makeSymlink, {}, (w) => w.string(target).string(path));
  }

  readOnly(path: string): this {
    return this.#op(op.readOnly, { mayBeAbsent: true }, (w) => w.string(path));
  }

  mask(nullDevice: Slot, emptyDirectory: Slot, path: string): this {
    return this.#op(op.mask, { mayBeAbsent: true }, (w) =>
      w.u32(nullDevice).u32(emptyDirectory).string(path),
    );
  }

  pivot(): this {
    return this.#op(op.pivot);
  }

  rootReadOnly(): this {
    return this.#op(op.rootReadOnly);
  }

  hostname(hostname: string, domainname: string): this {
    return this.#op(op.hostname, {}, (w) => w.string(hostname).string(domainname));
  }

  sysctl(path: string, value: string, options: OpOptions = {}): this {
    return this.#op(op.sysctl, options, (w) => w.string(path).string(value));
  }

  rlimit(resource: number, soft: bigint, hard: bigint): this {
    return this.#op(op.rlimit, {}, (w) => w.u32(resource).u64(soft).u64(hard));
  }

  unshare(cloneFlags: number): this {
    return this.#op(op.unshare, {}, (w) => w.u64(cloneFlags));
  }

  session(): this {
    return this.#op(op.session);
  }

  tty(size: { readonly rows: number; readonly columns: number }): this {
    return this.#op(op.tty, {}, (w) => w.u32(size.rows).u32(size.columns));
  }

  keyring(): this {
    return this.#op(op.keyring, { optional: true });
  }

  umask(mask: number): this {
    return this.#op(op.umask, {}, (w) => w.u32(mask));
  }

  ids(uid: number, gid: number, groups: readonly number[]): this {
    return this.#op(op.ids, {}, (w) =>
      w
        .u32(uid)
        .u32(gid)
        .list(groups, (group) => w.u32(group)),
    );
  }

  capabilities(sets: {
    readonly bounding: bigint;
    readonly permitted: bigint;
    readonly effective: bigint;
    readonly inheritable: bigint;
    readonly ambient: bigint;
  }): this {
    return this.#op(op.capabilities, {}, (w) =>
      w
        .u64(sets.bounding)
        .u64(sets.permitted)
        .u64(sets.effective)
        .u64(sets.inheritable)
        .u64(sets.ambient),
    );
  }

  noNewPrivs(): this {
    return this.#op(op.noNewPrivs);
  }

  seccomp(filterFlags: number, program: Uint8Array): this {
    return this.#op(op.seccomp, {}, (w) => w.u32(filterFlags).bytes(program));
  }

  chdir(path: string, create: boolean): this {
    return this.#op(op.chdir, {}, (w) => w.u32(create ? 1 : 0).string(path));
  }

  reap(): this {
    return this.#op(op.reap);
  }

  hold(): this {
    return this.#op(op.hold);
  }

  exec(argv: readonly string[], environment: readonly string[]): this {
    return this.#op(op.exec, {}, (w) =>
      w.list(argv, (word) => w.string(word)).list(environment, (entry) => w.string(entry)),
    );
  }

  finish(): Buffer {
    return this.#writer.finish();
  }

  #op(code: number, options: OpOptions = {}, payload?: (writer: WireWriter) => void): this {
    const flags =
      (options.optional === true ? opFlag.optional : 0) |
      (options.mayBeAbsent === true ? opFlag.mayBeAbsent : 0);
    const place = this.#writer.u16(code).u16(flags).placeU32();
    const start = this.#writer.length;
    payload?.(this.#writer);
    this.#writer.patchU32(place, this.#writer.length - start);
    return this;
  }
}

/** MOUNT_ATTR_* of mount_setattr(2). */
export const mountAttribute = {
  readOnly: 0x1,
  noSuid: 0x2,
  noDev: 0x4,
  noExec: 0x8,
  noAtime: 0x10,
  strictAtime: 0x20,
  noSymfollow: 0x20_0000,
  idmap: 0x10_0000,
} as const;

/** CLONE_NEW* of clone(2). */
export const namespaceFlag = {
  mount: 0x2_0000,
  cgroup: 0x200_0000,
  uts: 0x400_0000,
  ipc: 0x800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  network: 0x4000_0000,
} as const;

const openTreeClone = 1;
const atRecursive = 0x8000;

function writeFsParameter(writer: WireWriter, parameter: FsParameter): void {
  const kind = { flag: 0, string: 1, fd: 2 }[parameter.kind];
  writer
    .u32(kind)
    .string(parameter.key)
    .string(parameter.kind === "string" ? parameter.value : "")
    .u32(parameter.kind === "fd" ? parameter.slot : SLOT_NONE);
}
