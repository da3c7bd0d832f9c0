import type { Command } from "commander";
import type { Context } from "../context.ts";
import { openExec } from "../exec-client.ts";
import { followSession } from "../follow-session.ts";

type AttachOptions = { readonly stdin?: boolean };

/** Ends with the exit code of the container, with 0 when the detach keys were typed. */
export async function runAttach(context: Context, command: Command): Promise<number> {
  const { stdin = true } = command.opts<AttachOptions>();
  const [name = ""] = command.args;
  const { stdout, stderr } = process;
  const request = { name, stdin };
  const client = await openExec({ context, path: "/v1/attach", request, stdout, stderr });
  const goesOn = `left ${name}, which goes on: 'berth kill ${name}' ends it`;
  return followSession(client, { subject: name, stdin, tty: undefined, goesOn });
}
