import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import type { ContainerEnd } from "../../agent/control/control.ts";
import type { RunReport } from "../../agent/control/run-control.ts";
import type { LogLine } from "../../runtime/runtime.ts";
import { call, readLines } from "../agent-client.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { type RunOptions, runCompose } from "../run-compose.ts";
import { print, printJson, whenDrained } from "../terminal.ts";

type Options = RunOptions & {
  readonly detach?: boolean;
  readonly name?: string;
  readonly pull: string;
};

/** Without `-d` what it writes, until it ends, and then its exit code; Ctrl-C leaves it running. */
export async function runRun(context: Context, command: Command): Promise<number | undefined> {
  const { detach = false, pull, name: asked, ...given } = command.opts<Options>();
  const [image = "", ...argv] = command.args;
  const name = asked ?? `run-${randomBytes(3).toString("hex")}`;
  const compose = runCompose({ name, image, command: argv, given });
  const report = await call<RunReport>(context, "POST /v1/run", { name, pull, compose });
  if (detach) {
    if (context.json) printJson(report);
    else print(report.name);
    return undefined;
  }
  const lines = readLines<LogLine>(context, "GET /v1/logs", { name, follow: true });
  for await (const { stream, text } of lines) {
    const to = stream === "stderr" ? process.stderr : process.stdout;
    to.write(text);
    await whenDrained(to);
  }
  const { code, signal } = await call<ContainerEnd>(context, "GET /v1/wait", { name });
  if (signal !== null) return 128 + signal;
  if (code !== null) return code;
  throw new CliError(1, `cannot say how ${name} ended because its status was lost`);
}

export async function runRm(context: Context, command: Command): Promise<undefined> {
  const { force = false } = command.opts<{ readonly force?: boolean }>();
  for (const name of new Set(command.args)) {
    await call(context, "POST /v1/rm", { name, force });
    if (!context.json) print(name);
  }
  if (context.json) printJson([...new Set(command.args)]);
}
