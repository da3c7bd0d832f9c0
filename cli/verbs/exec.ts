import type { Command } from "commander";
import type { ExecRequest } from "../../agent/api/requests.ts";
import type { Context } from "../context.ts";
import { openExec } from "../exec-client.ts";
import { followSession, requireTerminal, terminalSize } from "../follow-session.ts";

type ExecOptions = {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
  readonly user?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
};

/** Ends with the exit code of the command, 128 + n when signal n ended it. */
export async function runExec(context: Context, command: Command): Promise<number> {
  const { detach, tty = false, interactive: stdin = false } = command.opts<ExecOptions>();
  if (detach) return runDetached(context, command);
  requireTerminal({ stdin, tty });
  const { stdout, stderr } = process;
  const request = createRequest(command);
  const client = await openExec({ context, path: "/v1/exec", request, stdout, stderr });
  return followSession(client, { subject: `the command in ${command.args[0]}`, stdin, tty });
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
