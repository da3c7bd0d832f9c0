import type { Command } from "commander";
import { call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { print, printJson } from "../terminal.ts";

/** JSON in any case: indented for people, one line for scripts. */
export async function runInspect(context: Context, command: Command): Promise<undefined> {
  const found = await call<unknown>(context, "GET /v1/inspect", { name: command.args[0] });
  if (context.json) printJson(found);
  else print(JSON.stringify(found, null, 2));
}
