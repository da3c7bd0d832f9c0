import type { Command } from "commander";
import { call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { print, printJson, printNote } from "../terminal.ts";

type ByHandOptions = { readonly time?: number; readonly signal?: string };

/** Stops, starts, restarts, kills, pauses or resumes every named container; one that fails does not keep the others from it. */
export async function runByHand(
  action: "stop" | "start" | "restart" | "kill" | "pause" | "unpause",
  context: Context,
  command: Command,
): Promise<number> {
  const { time, signal } = command.opts<ByHandOptions>();
  const done: string[] = [];
  for (const name of new Set(command.args)) {
    try {
      await call(context, `POST /v1/${action}`, { name, graceMs: time, signal });
      done.push(name);
      if (!context.json) print(name);
    } catch (error) {
      if (command.args.length === 1) throw error;
      printNote(`berth: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (context.json) printJson(done);
  return done.length === new Set(command.args).size ? 0 : 1;
}
