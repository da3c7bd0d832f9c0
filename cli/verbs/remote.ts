import type { Command } from "commander";
import { call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { print, printable, printJson } from "../terminal.ts";

/** One tag a line. */
export async function runTags(context: Context, command: Command): Promise<undefined> {
  const answer = await call<{ repository: string; tags: readonly string[] }>(
    context,
    "GET /v1/remote-tags",
    { repository: command.args[0] },
  );
  if (context.json) printJson(answer);
  else for (const tag of answer.tags) print(printable(tag));
}

export async function runDelete(context: Context, command: Command): Promise<undefined> {
  const answer = await call<{ reference: string }>(context, "POST /v1/delete-remote", {
    reference: command.args[0],
  });
  if (context.json) printJson(answer);
  else print(`deleted ${printable(answer.reference)}`);
}
