/** The agent's end of an exec stream (`exec-frames.ts`). */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import type { ExecSpec } from "../../runtime/container-spec.ts";
import { HelperError } from "../../runtime/helper/helper-error.ts";
import type { ExitRecord, ProcessSession } from "../../runtime/runtime.ts";
import type { Control } from "../control/control.ts";
import type { RunWatch } from "../control/run-control.ts";
import type { TransferStep } from "../images/transfer-meter.ts";
import { describeError } from "./api-error.ts";
import {
  EXEC_PROTOCOL,
  type ExecExit,
  encodeData,
  encodeJsonFrame,
  FRAME,
  type Frame,
} from "./exec-frames.ts";
import { openExecInput, readJsonFrame, wrongFrame } from "./exec-input.ts";
import { AttachRequest, CopyRequest, ExecRequest, RunStreamRequest } from "./requests.ts";

const OPEN_TIMEOUT_MS = 10_000;
const LAST_FRAME_TIMEOUT_MS = 1500;
/** How long output may stay silent after the process ended before a grandchild's open pipe is given up. */
const SILENCE_AFTER_EXIT_MS = 500;

export type SessionKind = "exec" | "attach" | "copy" | "run";

/** A session as the OPEN frame asks for it. */
type Opened = {
  readonly session: ProcessSession;
  readonly tty: boolean;
  /** Nothing follows STARTED. */
  readonly detach: boolean;
  /** Of a container that was run. */
  readonly id?: string;
};

/**
 * Serves one exec, attach, copy or run on an upgraded connection: frames in, frames out, until the process ends or either side
 * goes. Never throws: every error is sent as the last frame.
 */
export async function serveExec(options: {
  readonly kind: SessionKind;
  readonly control: Control;
  readonly connection: Duplex;
  readonly head: Uint8Array;
  readonly abort: AbortSignal;
}): Promise<void> {
  const { kind, control, connection, head, abort } = options;
  const gone = new AbortController();
  connection.on("error", () => connection.destroy());
  // The client keeps its side open to the end: when that closes, nobody is there any more.
  connection.once("end", () => connection.destroy());
  connection.once("close", () => gone.abort());
  connection.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${EXEC_PROTOCOL}\r\n\r\n`,
  );
  const ended = AbortSignal.any([gone.signal, abort]);
  try {
    await runSession({ kind, control, connection, head, ended });
  } catch (thrown) {
    const { error, kind } = describeError(thrown);
    const exitCode = commandExitCode(thrown);
    connection.end(encodeJsonFrame(FRAME.error, { error, kind, exitCode }));
  }
  // Whoever does not read the last frame within the time loses it.
  setTimeout(() => connection.destroy(), LAST_FRAME_TIMEOUT_MS).unref();
}

function commandExitCode(thrown: unknown): number | undefined {
  if (thrown instanceof HelperError) return thrown.commandExitCode;
  return thrown instanceof Error ? commandExitCode(thrown.cause) : undefined;
}

async function runSession(options: {
  readonly kind: SessionKind;
  readonly control: Control;
  readonly connection: Duplex;
  readonly head: Uint8Array;
  readonly ended: AbortSignal;
}): Promise<void> {
  const { kind, control, connection, ended } = options;
  const input = openExecInput(connection, options.head);
  const patience = AbortSignal.any([ended, AbortSignal.timeout(OPEN_TIMEOUT_MS)]);
  const frame = await whenAborted(input.first, patience);
  const onProgress = (progress: TransferStep): void => {
    // A reader that is slower than the pull misses steps of it.
    if (!connection.writableNeedDrain) connection.write(encodeJsonFrame(FRAME.progress, progress));
  };
  const watch = { abort: ended, onProgress };
  const { session, tty, detach, id } = await openers[kind](control, frame, watch);
  if (ended.aborted) {
    session.close();
    return;
  }
  const failed = new AbortController();
  const stop = AbortSignal.any([ended, failed.signal]);
  input.serve(session, (error) => failed.abort(error));
  try {
    connection.write(encodeJsonFrame(FRAME.started, { pid: session.pid, tty, id }));
    if (detach) {
      connection.end(encodeJsonFrame(FRAME.exit, { code: 0, signal: null, oomKilled: false }));
      return;
    }
    const exit = await pumpUntilExit(session, connection, stop);
    connection.end(encodeJsonFrame(FRAME.exit, describeExit(exit)));
  } finally {
    input.stop();
    session.close();
  }
}

/** Copies both outputs until they end, or fall silent once the process is gone. */
async function pumpUntilExit(
  session: ProcessSession,
  connection: Duplex,
  stop: AbortSignal,
): Promise<ExitRecord> {
  const activity = { lastMs: performance.now(), waiting: 0 };
  const outputs = Promise.all([
    pump({ from: session.stdout, to: connection, type: FRAME.stdout, stop, activity }),
    pump({ from: session.stderr, to: connection, type: FRAME.stderr, stop, activity }),
  ]).then(() => true);
  outputs.catch(() => undefined);
  const exit = await whenAborted(session.exit, stop);
  activity.lastMs = performance.now();
  while (!(await Promise.race([outputs, pause(SILENCE_AFTER_EXIT_MS / 5)]))) {
    stop.throwIfAborted();
    const silentMs = performance.now() - activity.lastMs;
    if (activity.waiting === 0 && silentMs > SILENCE_AFTER_EXIT_MS) break;
  }
  return exit;
}

async function pump(options: {
  readonly from: NodeJS.ReadableStream;
  readonly to: Duplex;
  readonly type: typeof FRAME.stdout | typeof FRAME.stderr;
  readonly stop: AbortSignal;
  readonly activity: { lastMs: number; waiting: number };
}): Promise<void> {
  const { from, to, type, stop, activity } = options;
  for await (const chunk of from) {
    if (to.writableEnded || stop.aborted) return;
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    for (const frame of encodeData(type, bytes)) {
      if (!to.write(frame)) {
        activity.waiting += 1;
        await once(to, "drain", { signal: stop }).finally(() => {
          activity.waiting -= 1;
        });
      }
    }
    activity.lastMs = performance.now();
  }
}

async function openAttach(control: Control, frame: Frame): Promise<Opened> {
  requireOpen(frame);
  const { name, stdin } = readJsonFrame(AttachRequest, frame);
  return { ...(await control.attach(name, { stdin })), detach: false };
}

async function openExec(control: Control, frame: Frame): Promise<Opened> {
  requireOpen(frame);
  const { name, spec } = readOpenFrame(frame);
  return { session: await control.exec(name, spec), tty: spec.tty, detach: spec.detach };
}

async function openCopy(control: Control, frame: Frame): Promise<Opened> {
  requireOpen(frame);
  const { name, ...spec } = readJsonFrame(CopyRequest, frame);
  return { session: await control.copy(name, spec), tty: false, detach: false };
}

async function openRun(control: Control, frame: Frame, watch: RunWatch): Promise<Opened> {
  requireOpen(frame);
  const { stdin, terminal, ...request } = readJsonFrame(RunStreamRequest, frame);
  const owner = { stdin, ...(terminal === undefined ? {} : { terminal }) };
  return { ...(await control.runAttached(request, owner, watch)), detach: false };
}

type Opener = (control: Control, frame: Frame, watch: RunWatch) => Promise<Opened>;

const openers: Readonly<Record<SessionKind, Opener>> = {
  exec: openExec,
  attach: openAttach,
  copy: openCopy,
  run: openRun,
};

function requireOpen(frame: Frame): void {
  if (frame.type !== FRAME.open) throw wrongFrame("a first frame that is not OPEN");
}

function readOpenFrame(frame: Frame): { name: string; spec: ExecSpec } {
  const { name, user, workingDir, terminal, ...rest } = readJsonFrame(ExecRequest, frame);
  const spec: ExecSpec = {
    ...rest,
    ...(user === undefined ? {} : { user }),
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(terminal === undefined ? {} : { terminal }),
  };
  return { name, spec };
}

function describeExit(exit: ExitRecord): ExecExit {
  return { code: exit.code ?? null, signal: exit.signal ?? null, oomKilled: exit.oomKilled };
}

function whenAborted<Value>(promise: Promise<Value>, abort: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abort.reason);
    if (abort.aborted) onAbort();
    abort.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => abort.removeEventListener("abort", onAbort));
  });
}

function pause(ms: number): Promise<false> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms, false);
  });
}
