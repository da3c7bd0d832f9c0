import { spawnSync } from "node:child_process";
import { constants } from "node:os";
import type { Command } from "commander";
import type { ExecRequest } from "../../agent/api/requests.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { DetachKeys } from "../detach-keys.ts";
import { type ExecClient, openExec } from "../exec-client.ts";

type ExecOptions = {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
  readonly user?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
};

const FORWARDED = ["SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

/** Ends with the exit code of the command, 128 + n when signal n ended it. */
export async function runExec(context: Context, command: Command): Promise<number> {
  const options = command.opts<ExecOptions>();
  if (options.detach) return runDetached(context, command);
  const raw = options.tty === true && options.interactive === true;
  if (raw && !process.stdin.isTTY) {
    throw new CliError(
      1,
      "cannot give the command this terminal because stdin is none: leave -t out",
    );
  }
  const { stdout, stderr } = process;
  const request = createRequest(command);
  const client = await openExec({ context, path: "/v1/exec", request, stdout, stderr });
  const leave = forwardSignals(client);
  const restore = raw ? enterRawMode() : undefined;
  try {
    await client.started;
    if (options.tty) followSize(client);
    if (options.interactive) client.sendInput(process.stdin, raw ? new DetachKeys() : undefined);
    const exit = await Promise.race([client.exit, client.detached]);
    if (exit === undefined) return 0;
    const { code, signal } = exit;
    if (signal !== null) return 128 + signal;
    if (code !== null) return code;
    throw new CliError(
      1,
      `cannot say how the command in ${command.args[0]} ended because its status was lost`,
    );
  } finally {
    restore?.();
    leave();
    client.close();
    // A terminal or pipe that is still being read would keep this process.
    process.stdin.destroy();
  }
}

/** The command goes on by itself; what it writes goes nowhere. */
async function runDetached(context: Context, command: Command): Promise<number> {
  const request = { ...createRequest(command), detach: true, stdin: false };
  const { stdout, stderr } = process;
  const client = await openExec({ context, path: "/v1/exec", request, stdout, stderr });
  await client.started;
  client.close();
  return 0;
}

function createRequest(command: Command): ExecRequest {
  const { interactive = false, tty = false, user, env = {}, workdir } = command.opts<ExecOptions>();
  const [name = "", ...argv] = command.args;
  const terminal = tty ? terminalSize() : undefined;
  const term = tty && process.env.TERM !== undefined ? { TERM: process.env.TERM } : {};
  return {
    name,
    argv,
    environment: { ...term, ...env },
    tty,
    stdin: interactive,
    detach: false,
    ...(user === undefined ? {} : { user }),
    ...(workdir === undefined ? {} : { workingDir: workdir }),
    ...(terminal === undefined ? {} : { terminal }),
  };
}

function terminalSize(): { rows: number; columns: number } | undefined {
  const terminal = [process.stdout, process.stderr].find(({ isTTY }) => isTTY);
  // A terminal may say 0 x 0 before its window is laid out.
  if (terminal === undefined || terminal.rows < 1 || terminal.columns < 1) return undefined;
  return { rows: terminal.rows, columns: terminal.columns };
}

export function followSize(client: ExecClient): void {
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
export function enterRawMode(): () => void {
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

/** Signals sent to this process reach the command; a hang-up ends both. */
export function forwardSignals(client: ExecClient): () => void {
  const forward = (name: (typeof FORWARDED)[number]): void =>
    client.signal(constants.signals[name]);
  for (const name of FORWARDED) process.on(name, forward);
  process.on("SIGHUP", hangUp);
  return () => {
    for (const name of FORWARDED) process.off(name, forward);
    process.off("SIGHUP", hangUp);
  };
}

function hangUp(): void {
  process.exit(128 + constants.signals.SIGHUP);
}
