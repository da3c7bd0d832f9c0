import type { FsParameter } from "../program/host-operations.ts";
import { mountAttribute, propagationFlag } from "../program/kernel-flags.ts";

/** What the options of a mount come to. */
export type MountOptions = {
  readonly bind: boolean;
  /** Take mounts below the source along. */
  readonly recursive: boolean;
  /** MOUNT_ATTR_* of the mount itself. */
  readonly flags: number;
  /** MOUNT_ATTR_* of the mount and all below it. */
  readonly recursiveFlags: number;
  /** MS_* and MS_REC. */
  readonly propagation: number | undefined;
  /** What is in the container at the place of the mount is copied into it. */
  readonly copyUp: boolean;
  /** The source's ids are the container's: an idmapped mount. */
  readonly idmap: boolean;
  readonly parameters: readonly FsParameter[];
};

const attribute = { ...mountAttribute, noDirAtime: 0x80 };

type Change = { readonly set: number; readonly clear: number };

const on = (bits: number): Change => ({ set: bits, clear: 0 });
const off = (bits: number): Change => ({ set: 0, clear: bits });

/** Options of mount(8) that belong to one mount, not to its file system. */
const changes: Readonly<Record<string, Change>> = {
  ro: on(attribute.readOnly),
  rw: off(attribute.readOnly),
  nosuid: on(attribute.noSuid),
  suid: off(attribute.noSuid),
  nodev: on(attribute.noDev),
  dev: off(attribute.noDev),
  noexec: on(attribute.noExec),
  exec: off(attribute.noExec),
  noatime: { set: attribute.noAtime, clear: attribute.strictAtime },
  strictatime: { set: attribute.strictAtime, clear: attribute.noAtime },
  relatime: off(attribute.noAtime | attribute.strictAtime),
  atime: off(attribute.noAtime),
  norelatime: off(0),
  nostrictatime: off(attribute.strictAtime),
  nodiratime: on(attribute.noDirAtime),
  diratime: off(attribute.noDirAtime),
  nosymfollow: on(attribute.noSymfollow),
  symfollow: off(attribute.noSymfollow),
};

const propagations: Readonly<Record<string, number>> = {
  private: propagationFlag.private,
  rprivate: propagationFlag.private | propagationFlag.recursive,
  slave: propagationFlag.slave,
  rslave: propagationFlag.slave | propagationFlag.recursive,
  shared: propagationFlag.shared,
  rshared: propagationFlag.shared | propagationFlag.recursive,
  unbindable: propagationFlag.unbindable,
  runbindable: propagationFlag.unbindable | propagationFlag.recursive,
};

/** `shared`, `rslave`, … as MS_* bits. Undefined for another word. */
export function propagationOf(word: string): number | undefined {
  return propagations[word];
}

/** Reads the options of one mount; a later one wins. What is no option of mounts goes to the file system. */
export function readMountOptions(options: readonly string[]): MountOptions {
  const found = {
    bind: false,
    recursive: false,
    flags: 0,
    recursiveFlags: 0,
    propagation: propagationOf(""),
    copyUp: false,
    idmap: false,
  };
  const parameters: FsParameter[] = [];
  for (const option of options) {
    const change = changes[option];
    // `rro` and the like (from 1.1 of the specification) mean the mount with all below it.
    const deep = option.startsWith("r") ? changes[option.slice(1)] : undefined;
    const propagation = propagationOf(option);
    if (option === "bind" || option === "rbind") {
      found.bind = true;
      found.recursive = option === "rbind";
    } else if (change !== undefined) found.flags = (found.flags & ~change.clear) | change.set;
    else if (propagation !== undefined) found.propagation = propagation;
    else if (deep !== undefined && option !== "rbind") {
      found.recursiveFlags = (found.recursiveFlags & ~deep.clear) | deep.set;
    } else if (option === "tmpcopyup") found.copyUp = true;
    else if (option === "idmap" || option === "ridmap") found.idmap = true;
    else if (!passedOver.has(option)) parameters.push(parameterOf(option));
  }
  return { ...found, parameters };
}

const passedOver = new Set([
  "",
  "defaults",
  "remount",
  "silent",
  "loud",
  "z",
  "Z",
  "copy",
  "nocopy",
]);

function parameterOf(option: string): FsParameter {
  const at = option.indexOf("=");
  return at < 0
    ? { kind: "flag", key: option }
    : { kind: "string", key: option.slice(0, at), value: option.slice(at + 1) };
}
