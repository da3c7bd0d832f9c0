import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { readHelperError } from "../helper/helper-error.ts";
import type { ProcessIdentity } from "../helper/launcher.ts";
import { type Message, receiveMessages, sendMessage } from "../helper/message-stream.ts";
import { WireReader, WireWriter } from "../helper/wire.ts";
import { message, startFlag } from "../protocol.ts";

export type Launch = {
  readonly helperPath: string;
  readonly containerId: string;
  readonly program: Uint8Array;
  /** The process waits for a release: on its start socket, or where its supervisor stays on that one's. */
  readonly holds: boolean;
  readonly terminal: boolean;
  /** How many of the caller's descriptors, from 3 on, the process keeps. */
  readonly preservedFds: number;
  /**
   * Where a supervisor stays and is asked for the end; undefined: it goes, and the process is the caller's or its
   * subreaper's to reap.
   */
  readonly supervisor: { readonly socketPath: string; readonly exitPath: string } | undefined;
};

/**
 * Starts one process with the descriptors of this one as its own, by a launcher that ends with it. Rejects with a
 * HelperError when it cannot be.
 */
export async function launch(request: Launch): Promise<ProcessIdentity> {
  const preserved = Array.from({ length: request.preservedFds }, (_, at) => 3 + at);
  // A terminal that the supervisor keeps is read and written through its socket.
  const keepsTerminal = request.terminal && request.supervisor !== undefined;
  const inherited = keepsTerminal ? [] : [0, 1, 2, ...preserved];
  const child = spawn(request.helperPath, ["launcher"], {
    stdio: ["pipe", "pipe", "inherit", ...inherited],
    env: {},
    detached: true,
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.stdin?.on("error", () => {});
  const answer = firstAnswer(child.stdout, child);
  if (child.stdin !== null) {
    sendMessage(child.stdin, { id: 1, type: message.start, body: startBody(request) });
  }
  try {
    return readStarted(await answer);
  } finally {
    child.stdin?.end();
    await exited;
  }
}

function startBody(request: Launch): Buffer {
  const { supervisor } = request;
  const keepsTerminal = request.terminal && supervisor !== undefined;
  const flags =
    (request.holds ? startFlag.hold : 0) |
    (request.terminal ? startFlag.tty : 0) |
    (keepsTerminal ? 0 : startFlag.inherit) |
    (supervisor === undefined ? startFlag.leave : 0);
  return new WireWriter()
    .string(request.containerId)
    .string(supervisor?.socketPath ?? "")
    .string(supervisor?.exitPath ?? "")
    .string("")
    .u64(0)
    .u32(0)
    .u32(flags)
    .raw(request.program)
    .finish();
}

function firstAnswer(
  stdout: Readable | null,
  child: { once(event: "error" | "exit", listener: (problem: unknown) => void): unknown },
): Promise<Message> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => reject(new Error("cannot start: the launcher ended early")));
    if (stdout !== null) receiveMessages(stdout, resolve);
  });
}

function readStarted(answer: Message): ProcessIdentity {
  if (answer.type === message.error) throw readHelperError(answer.body);
  const reader = new WireReader(answer.body);
  return { pid: reader.u32(), startTime: reader.u64() };
}
