import type { WireWriter } from "../helper/wire.ts";
import type { PlannedFile, SchedulerPlan } from "../plan/start-plan.ts";
import { op } from "../protocol.ts";
import type { DialSpec } from "./dial-spec.ts";
import { HostOperations } from "./host-operations.ts";
import type { OpOptions, Slot } from "./operation-list.ts";

type CopyLimits = {
  readonly path: string;
  readonly bytesMax: number;
  readonly entriesMax: number;
};

/** Builds a program: the host's operations first, then, after `initBegin`, those of the container's init. */
export class Program extends HostOperations {
  /** Host's part: a new file in a directory. `content` is wiped in the helper once it is written. */
  putFile(directory: Slot, { mode, uid, gid, name, content }: PlannedFile): this {
    return this.op(op.putFile, {}, (w) => {
      w.u32(directory).u32(mode).u32(uid).u32(gid).string(name).bytes(content);
    });
  }

  takeFds(): this {
    return this.op(op.takeFds);
  }

  cgroupEnter(tasks: Slot): this {
    return this.op(op.cgroupEnter, {}, (w) => w.u32(tasks));
  }

  await(): this {
    return this.op(op.await);
  }

  privateMounts(): this {
    return this.op(op.privateMounts);
  }

  attachRoot(slot: Slot, hostDirectory: string): this {
    return this.op(op.attachRoot, {}, (w) => w.u32(slot).string(hostDirectory));
  }

  mount(
    slot: Slot,
    path: string,
    create: "no" | "directory" | "file",
    options: OpOptions = {},
  ): this {
    const kind = { no: 0, directory: 1, file: 2 }[create];
    const mode = create === "file" ? 0o644 : 0o755;
    return this.op(op.mount, options, (w) => w.u32(slot).u32(kind).u32(mode).string(path));
  }

  makeDir(path: string, mode: number, options: OpOptions = {}): this {
    return this.op(op.makeDir, options, (w) => w.u32(mode).string(path));
  }

  makeSymlink(target: string, path: string): this {
    return this.op(op.makeSymlink, {}, (w) => w.string(target).string(path));
  }

  readOnly(path: string): this {
    return this.op(op.readOnly, { mayBeAbsent: true }, (w) => w.string(path));
  }

  mask(nullDevice: Slot, emptyDirectory: Slot, path: string): this {
    return this.op(op.mask, { mayBeAbsent: true }, (w) =>
      w.u32(nullDevice).u32(emptyDirectory).string(path),
    );
  }

  pivot(): this {
    return this.op(op.pivot);
  }

  rootReadOnly(): this {
    return this.op(op.rootReadOnly);
  }

  hostname(hostname: string, domainname: string): this {
    return this.op(op.hostname, {}, (w) => w.string(hostname).string(domainname));
  }

  /** From here on `sysctl` writes to this detached procfs. */
  proc(slot: Slot): this {
    return this.op(op.proc, {}, (w) => w.u32(slot));
  }

  sysctl(path: string, value: string, options: OpOptions = {}): this {
    return this.op(op.sysctl, options, (w) => w.string(path).string(value));
  }

  rlimit(resource: number, soft: bigint, hard: bigint): this {
    return this.op(op.rlimit, {}, (w) => w.u32(resource).u64(soft).u64(hard));
  }

  unshare(cloneFlags: number): this {
    return this.op(op.unshare, {}, (w) => w.u64(cloneFlags));
  }

  scheduler(plan: SchedulerPlan): this {
    return this.op(op.scheduler, {}, (w) =>
      w
        .u32(plan.policy)
        .u64(plan.flags)
        .u32(plan.nice >>> 0)
        .u32(plan.priority)
        .u64(plan.runtime)
        .u64(plan.deadline)
        .u64(plan.period),
    );
  }

  ioPriority(value: { readonly class: number; readonly priority: number }): this {
    return this.op(op.ioPriority, {}, (w) => w.u32(value.class).u32(value.priority));
  }

  personality(value: number): this {
    return this.op(op.personality, {}, (w) => w.u32(value));
  }

  /** `mode` with its flags; one bit a node, little-endian, in whole words of 64. */
  memoryPolicy(policy: { readonly mode: number; readonly nodes: Uint8Array }): this {
    return this.op(op.memoryPolicy, {}, (w) => w.u32(policy.mode).bytes(policy.nodes));
  }

  session(): this {
    return this.op(op.session);
  }

  tty(size: { readonly rows: number; readonly columns: number }): this {
    return this.op(op.tty, {}, (w) => w.u32(size.rows).u32(size.columns));
  }

  keyring(): this {
    return this.op(op.keyring, { optional: true });
  }

  umask(mask: number): this {
    return this.op(op.umask, {}, (w) => w.u32(mask));
  }

  ids(uid: number, gid: number, groups: readonly number[]): this {
    return this.op(op.ids, {}, (w) =>
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
    return this.op(op.capabilities, {}, (w) =>
      w
        .u64(sets.bounding)
        .u64(sets.permitted)
        .u64(sets.effective)
        .u64(sets.inheritable)
        .u64(sets.ambient),
    );
  }

  noNewPrivs(): this {
    return this.op(op.noNewPrivs);
  }

  /** What confines the next exec; the slot is one of `childLabel`. */
  label(slot: Slot, text: string): this {
    return this.op(op.label, {}, (w) => w.u32(slot).string(text));
  }

  seccomp(filterFlags: number, program: Uint8Array): this {
    return this.op(op.seccomp, {}, (w) => w.u32(filterFlags).bytes(program));
  }

  chdir(path: string, create: boolean): this {
    return this.op(op.chdir, {}, (w) => w.u32(create ? 1 : 0).string(path));
  }

  reap(): this {
    return this.op(op.reap);
  }

  hold(): this {
    return this.op(op.hold);
  }

  /** Waits for a RELEASE on a socket that `listen` made. */
  holdUntil(listener: Slot): this {
    return this.op(op.holdUntil, {}, (w) => w.u32(listener));
  }

  /** Fails as `exec` would where the program is missing. */
  find(argv: readonly string[], environment: readonly string[]): this {
    return this.op(op.find, {}, (w) => w.strings(argv).strings(environment));
  }

  /** Last, in place of `exec`. `flags`: `copyFlag` bits. */
  copyOut(flags: number, copy: CopyLimits & { readonly entryName: string }): this {
    return this.op(op.copyOut, {}, (w) => putCopy(w, flags, copy).string(copy.entryName));
  }

  /** Last, in place of `exec`. `flags`: `copyFlag` bits. */
  copyIn(flags: number, copy: CopyLimits & { readonly sourceName: string }): this {
    return this.op(op.copyIn, {}, (w) => putCopy(w, flags, copy).string(copy.sourceName));
  }

  /** `proc`: the host's procfs. */
  replaceMount(slot: Slot, proc: Slot, path: string): this {
    return this.op(op.replaceMount, {}, (w) => w.u32(slot).u32(proc).string(path));
  }

  /** Last, in place of `exec`: the process has done its work. */
  end(): this {
    return this.op(op.end);
  }

  /** Last, in place of `exec`. `relay`: standard streams are joined to the connection; else it ends once there is one. */
  dial({ address, port, relay }: DialSpec): this {
    return this.op(op.dial, {}, (w) =>
      w
        .u32(relay ? 1 : 0)
        .u32(port)
        .string(address),
    );
  }

  /** `clone`: a mount of its own of what lies there, ready to be put elsewhere. */
  bindFromRoot(slot: Slot, path: string, { clone }: { readonly clone: boolean }): this {
    return this.op(op.bindFromRoot, {}, (w) =>
      w
        .u32(slot)
        .u32(clone ? 1 : 0)
        .string(path),
    );
  }

  exec(argv: readonly string[], environment: readonly string[]): this {
    return this.op(op.exec, {}, (w) => w.strings(argv).strings(environment));
  }
}

function putCopy(writer: WireWriter, flags: number, copy: CopyLimits): WireWriter {
  return writer.u32(flags).u64(copy.bytesMax).u32(copy.entriesMax).string(copy.path);
}
