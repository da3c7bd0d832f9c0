import type { Command } from "commander";
import type { AgentEvent } from "../../agent/control/control.ts";
import { readLines } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { print, printable, style, whenDrained } from "../terminal.ts";

export async function runEvents(context: Context, command: Command): Promise<undefined> {
  const { follow = false } = command.opts<{ follow?: boolean }>();
  for await (const event of readLines<AgentEvent>(context, "GET /v1/events", { follow })) {
    print(context.json ? JSON.stringify(event) : formatEvent(event));
    await whenDrained(process.stdout);
  }
}

function formatEvent({ time, kind, app, target, message }: AgentEvent): string {
  const subject = printable(app === null || target.startsWith(app) ? target : `${app} ${target}`);
  return `${style("dim", time)}  ${printable(kind).padEnd(20)}  ${subject}  ${printable(message)}`.trimEnd();
}
