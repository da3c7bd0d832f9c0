import type { Command } from "commander";
import type { PsEntry } from "../../agent/control/control.ts";
import { call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { formatShort, formatSince } from "../figures.ts";
import { describePorts } from "../port-list.ts";
import { type Cell, formatTable } from "../table.ts";
import { print, printJson } from "../terminal.ts";

export async function runPs(context: Context, command: Command): Promise<undefined> {
  const { all = false, quiet } = command.opts<{ all?: boolean; quiet?: boolean }>();
  const entries = await call<readonly PsEntry[]>(context, "GET /v1/ps", { all });
  if (context.json) {
    printJson(entries);
    return;
  }
  if (quiet === true) {
    for (const { id } of entries) print(formatShort(id));
    return;
  }
  print(
    formatTable(
      ["NAME", "APP", "SERVICE", "ID", "IMAGE", "STATE", "HEALTH", "RESTARTS", "PORTS", "STARTED"],
      entries.map((entry) => [
        entry.name,
        entry.app,
        entry.service,
        formatShort(entry.id),
        entry.image,
        describeState(entry),
        describeHealth(entry),
        String(entry.restarts),
        describePorts(entry.ports) || "-",
        formatSince(entry.startedAt),
      ]),
    ),
  );
}

function describeState({ state, exitCode, byHand }: PsEntry): Cell {
  const code = state === "exited" && exitCode !== null ? ` (${exitCode})` : "";
  const failed = state === "dead" || (state === "exited" && exitCode !== 0);
  const color = state === "running" ? "green" : failed ? "red" : "yellow";
  return { text: `${state}${code}${byHand ? ", by hand" : ""}`, color };
}

function describeHealth({ health }: PsEntry): Cell {
  if (health === "none") return "-";
  return {
    text: health,
    color: health === "healthy" ? "green" : health === "starting" ? "yellow" : "red",
  };
}
