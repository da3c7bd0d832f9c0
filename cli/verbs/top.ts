import type { Command } from "commander";
import type { TopEntry } from "../../agent/control/control.ts";
import { call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { formatBytes } from "../figures.ts";
import { formatTable } from "../table.ts";
import { print, printJson } from "../terminal.ts";

/** The processes of a container. */
export async function runTop(context: Context, command: Command): Promise<undefined> {
  const name = command.args[0];
  const entries = await call<readonly TopEntry[]>(context, "GET /v1/top", { name });
  if (context.json) {
    printJson(entries);
    return;
  }
  print(
    formatTable(
      ["PID", "HOST PID", "UID", "STATE", "MEMORY", "CPU", "COMMAND"],
      entries.map((entry) => [
        String(entry.containerPid),
        String(entry.pid),
        entry.uid === null ? "-" : String(entry.uid),
        entry.state,
        formatBytes(entry.memoryBytes),
        `${(entry.cpuMs / 1000).toFixed(2)}s`,
        entry.command,
      ]),
    ),
  );
}
