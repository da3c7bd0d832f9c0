import type { Command } from "commander";
import type { ContainerEnd } from "../../agent/control/control.ts";
import { call } from "../agent-client.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { print, printJson } from "../terminal.ts";

/** Waits for the end of every named container and prints its exit code, 128 + n when signal n ended it. */
export async function runWait(context: Context, command: Command): Promise<undefined> {
  const ends = await Promise.all(
    command.args.map(async (name) => ({
      name,
      ...(await call<ContainerEnd>(context, "GET /v1/wait", { name })),
    })),
  );
  if (context.json) {
    printJson(ends);
    return;
  }
  for (const { name, code, signal } of ends) {
    if (code === null && signal === null) {
      throw new CliError(1, `cannot say how ${name} ended because its status was lost`);
    }
    print(String(signal === null ? code : 128 + signal));
  }
}
