import { constants } from "node:os";
import { op, stage } from "../protocol.ts";
import { WireReader } from "./wire.ts";

/** A failure that the helper reports: which stage, which operation, which errno, and on what. */
export class HelperError extends Error {
  override readonly name = "HelperError";
  readonly stage: number;
  readonly op: number;
  readonly errno: number;
  readonly object: string;
  readonly detail: string;

  constructor(failure: {
    readonly stage: number;
    readonly op: number;
    readonly errno: number;
    readonly object: string;
    readonly detail: string;
  }) {
    super(describe(failure));
    this.stage = failure.stage;
    this.op = failure.op;
    this.errno = failure.errno;
    this.object = failure.object;
    this.detail = failure.detail;
  }

  /** The symbolic errno, such as `ENOENT`. */
  get code(): string {
    return errnoName(this.errno);
  }

  /** True when the container was made and only its program could not be executed. */
  get isExecFailure(): boolean {
    return this.stage === stage.exec;
  }

  /** What a shell ends with for it (POSIX, 2.8.2): 127 for a program that is not there, 126 for one that cannot run. */
  get commandExitCode(): number | undefined {
    if (!this.isExecFailure) return undefined;
    return this.code === "ENOENT" || this.code === "ENOTDIR" ? 127 : 126;
  }
}

/** Decodes the body of an ERROR message. */
export function readHelperError(body: Buffer): HelperError {
  const reader = new WireReader(body);
  return new HelperError({
    stage: reader.u32(),
    op: reader.u32(),
    errno: reader.u32(),
    object: reader.string(),
    detail: reader.string(),
  });
}

const errnoNames = new Map(
  Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
);

const stageNames = new Map<number, string>(
  Object.entries(stage).map(([name, number]) => [number, name] as const),
);

const opNames = new Map<number, string>(
  Object.entries(op).map(([name, number]) => [number, name] as const),
);

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  ENOEXEC: "not an executable of this machine's format",
  ENOSPC: "no space left on device",
  EINVAL: "invalid argument",
  ENODEV: "this kernel does not have it",
  EPROTONOSUPPORT: "this kernel does not have the protocol",
  EBADMSG: "the archive is not sound",
  EEXIST: "it exists already",
  ENOTDIR: "a part of the path is not a directory",
  ELOOP: "too many symbolic links",
  ENOMEM: "out of memory",
  EAGAIN: "a limit of processes or resources was reached",
};

function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`;
}

function describe(failure: {
  readonly stage: number;
  readonly op: number;
  readonly errno: number;
  readonly object: string;
  readonly detail: string;
}): string {
  const name = errnoName(failure.errno);
  const reason = reasons[name] === undefined ? name : `${reasons[name]} (${name})`;
  if (failure.stage === stage.exec) {
    return `cannot execute ${failure.object}: ${reason}: a program that is in the image is expected`;
  }
  // Callers look for the words "error running hook".
  if (failure.op === op.hook && failure.detail !== "") {
    return `cannot run the hook ${failure.object}: error running hook: ${failure.detail}`;
  }
  if (failure.op === op.netlinkIn) {
    const why = failure.detail === "" ? reason : `${failure.detail} (${name})`;
    return `cannot move the network device ${failure.object} into the container: ${why}`;
  }
  const detail = failure.detail === "" ? "" : `: ${failure.detail}`;
  // A layer is unpacked without operations: the object is a path of it, if the failure is about one.
  if (failure.stage === stage.unpack) {
    return `cannot unpack ${failure.object || "the archive"}: ${reason}${detail}`;
  }
  const operation = opNames.get(failure.op) ?? `operation ${failure.op}`;
  const what =
    failure.object === operation ? operation : `${operation} ${failure.object}`.trimEnd();
  return `${stageNames.get(failure.stage) ?? "helper"} cannot ${what}: ${reason}${detail}`;
}
