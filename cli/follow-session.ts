/** A session in front of somebody: their terminal, signals and input are its own until it ends or is left. */
import { spawnSync } from "node:child_process";
import { constants } from "node:os";
import { CliError } from "./cli-error.ts";
import { DetachKeys } from "./detach-keys.ts";
import type { ExecClient } from "./exec-client.ts";

const forwarded = ["SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** That many SIGINT or SIGTERM say that whoever sends them wants their prompt back, as in Docker. */
const insistentSignals = 3;

export type FollowOptions = {
  /** What runs, for messages. */
  readonly subject: string;
  readonly stdin: boolean;
  /** Asked for; undefined: the session's start says whether it has a terminal. */
  readonly tty: boolean | undefined;
  /** What is said when it was left because it obeys no signal; undefined: it is never left so. */
  readonly goesOn?: string;
};

/** Resolves with the exit code, 128 + n for signal n, 0 when the detach keys were typed. */
export async function followSession(client: ExecClient, options: FollowOptions): Promise<number> {
  const { subject, stdin, tty, goesOn } = options;
  const isTerminal = process.stdin.isTTY;
  const undo: (() => void)[] = [];
  const left = Promise.withResolvers<never>();
  left.promise.catch(() => undefined);
  const insisted = (): void => {
    if (goesOn !== undefined) left.reject(new CliError(1, goesOn));
  };
  try {
    if (tty !== undefined) undo.push(forwardSignals(client, insisted));
    if (tty === true && stdin && isTerminal) undo.push(enterRawMode());
    const started = await Promise.race([client.started, left.promise]);
    if (tty === undefined && !started.tty) undo.push(forwardSignals(client, insisted));
    const raw = started.tty && stdin && isTerminal;
    if (tty === undefined && raw) undo.push(enterRawMode());
    if (started.tty) followSize(client);
    if (stdin) client.sendInput(process.stdin, raw ? new DetachKeys() : undefined);
    const exit = await Promise.race([client.exit, client.detached, left.promise]);
    if (exit === undefined) return 0;
    if (exit.signal !== null) return 128 + exit.signal;
    if (exit.code !== null) return exit.code;
    throw new CliError(1, `cannot say how ${subject} ended because its status was lost`);
  } finally {
    for (const step of undo.toReversed()) step();
    client.close();
    // A terminal or pipe that is still being read would keep this process.
    process.stdin.destroy();
  }
}

/** Throws where `-i` and `-t` are asked for without a terminal to give. */
export function requireTerminal({
  stdin,
  tty,
}: {
  readonly stdin: boolean;
  readonly tty: boolean;
}): void {
  if (!stdin || !tty || process.stdin.isTTY) return;
  throw new CliError(
    1,
    "cannot give the command this terminal because stdin is none: leave -t out",
  );
}

/** Undefined when neither stdout nor stderr is a terminal. */
export function terminalSize(): { rows: number; columns: number } | undefined {
  const terminal = [process.stdout, process.stderr].find(({ isTTY }) => isTTY);
  // A terminal may say 0 x 0 before its window is laid out.
  if (terminal === undefined || terminal.rows < 1 || terminal.columns < 1) return undefined;
  return { rows: terminal.rows, columns: terminal.columns };
}

function followSize(client: ExecClient): void {
  const tell = (): void => {
    const size = terminalSize();
    if (size !== undefined) client.resize(size);
  };
  const terminal = [process.stdout, process.stderr].find(({ isTTY }) => isTTY);
  terminal?.on("resize", tell);
  // The window may have changed between the request and the start.
  tell();
}

/** Bytes of the keyboard go to the container as they are. Returns what undoes it; so does the end of this process. */
function enterRawMode(): () => void {
  process.stdin.setRawMode(true);
  // The container's terminal has made its own line ends already; libuv's raw mode leaves ours on. Leaving restores it.
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  process.once("exit", leaveRawMode);
  return () => {
    process.off("exit", leaveRawMode);
    leaveRawMode();
  };
}

function leaveRawMode(): void {
  process.stdin.setRawMode(false);
}

/** Signals sent to this process reach the session's; a hang-up ends this process. */
function forwardSignals(client: ExecClient, insisted: () => void): () => void {
  let count = 0;
  const forward = (name: (typeof forwarded)[number]): void => {
    client.signal(constants.signals[name]);
    if (name === "SIGINT" || name === "SIGTERM") count += 1;
    if (count >= insistentSignals) insisted();
  };
  for (const name of forwarded) process.on(name, forward);
  process.on("SIGHUP", hangUp);
  return () => {
    for (const name of forwarded) process.off(name, forward);
    process.off("SIGHUP", hangUp);
  };
}

function hangUp(): void {
  process.exit(128 + constants.signals.SIGHUP);
}
