import { op } from "../protocol.ts";
import { OperationList, type Slot } from "./operation-list.ts";

/** Host's operations of a process that is left to somebody else than its supervisor, and of who is told of it. */
export class HandoffOperations extends OperationList {
  /** Whoever listens there gets the master of the process's terminal. */
  consoleSocket(path: string): this {
    return this.op(op.consoleSocket, {}, (w) => w.string(path));
  }

  /** Whoever listens there gets the listener of the filter, and the parts with the new process's pid between them. */
  seccompAgent(path: string, parts: readonly string[]): this {
    return this.op(op.seccompAgent, {}, (w) => w.string(path).strings(parts));
  }

  listen(slot: Slot, path: string): this {
    return this.op(op.listen, {}, (w) => w.u32(slot).string(path));
  }

  /** The process whose namespaces `join` enters, in a START. */
  container(pid: number, startTime: bigint): this {
    return this.op(op.container, {}, (w) => w.u32(pid).u64(startTime));
  }

  /** Runs a program of the caller's, which reads the container's state with its pid in the middle. */
  hook(hook: {
    readonly path: string;
    readonly argv: readonly string[];
    readonly environment: readonly string[];
    readonly timeoutMs: number;
    readonly beforePid: string;
    readonly afterPid: string;
  }): this {
    return this.op(op.hook, {}, (w) =>
      w
        .u32(hook.timeoutMs)
        .string(hook.path)
        .strings(hook.argv)
        .strings(hook.environment)
        .string(hook.beforePid)
        .string(hook.afterPid),
    );
  }
}
