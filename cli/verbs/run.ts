import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import type { RunReport } from "../../agent/control/run-control.ts";
import { call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { readEnvFiles } from "../env-file.ts";
import { openExec } from "../exec-client.ts";
import { followSession, requireTerminal, terminalSize } from "../follow-session.ts";
import { type RunOptions, runCompose } from "../run-compose.ts";
import { print, printJson } from "../terminal.ts";

type Options = RunOptions & {
  readonly detach?: boolean;
  readonly rm?: boolean;
  readonly envFile?: readonly string[];
  readonly name?: string;
  readonly pull: "missing" | "always" | "never";
};

/** Without `-d` in front: its streams and signals are this process's own, and so is its exit code. */
export async function runRun(context: Context, command: Command): Promise<number | undefined> {
  const { detach = false, rm: remove = false, envFile = [], ...options } = command.opts<Options>();
  const { pull, name: asked, ...given } = options;
  const { interactive: stdin = false, tty = false } = given;
  if (!detach) requireTerminal({ stdin, tty });
  const [image = "", ...argv] = command.args;
  const name = asked ?? `run-${randomBytes(3).toString("hex")}`;
  const env = { ...(await readEnvFiles(envFile)), ...given.env };
  const compose = runCompose({ name, image, command: argv, given: { ...given, env } });
  const request = { name, pull, compose, remove };
  if (detach) {
    const report = await call<RunReport>(context, "POST /v1/run", request);
    if (context.json) printJson(report);
    else print(report.name);
    return undefined;
  }
  const terminal = tty ? terminalSize() : undefined;
  const asking = { ...request, stdin, ...(terminal === undefined ? {} : { terminal }) };
  const { stdout, stderr } = process;
  const client = await openExec({ context, path: "/v1/run", request: asking, stdout, stderr });
  const goesOn = `left ${name}, which goes on: 'berth kill ${name}' ends it`;
  return followSession(client, { subject: name, stdin, tty, goesOn });
}

export async function runRm(context: Context, command: Command): Promise<undefined> {
  type RmOptions = { readonly force?: boolean; readonly volumes?: boolean };
  const { force = false, volumes = false } = command.opts<RmOptions>();
  for (const name of new Set(command.args)) {
    await call(context, "POST /v1/rm", { name, force, volumes });
    if (!context.json) print(name);
  }
  if (context.json) printJson([...new Set(command.args)]);
}
