import type { Command } from "commander";
import type { ContainerStats } from "../../agent/control/control.ts";
import { readLines } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { formatBytes } from "../figures.ts";
import { formatTable } from "../table.ts";
import { print, printJson } from "../terminal.ts";

/** A table that is painted over on a terminal; one sample after the other when piped; an array a line as JSON. */
export async function runStats(context: Context, command: Command): Promise<undefined> {
  const { stream, interval = 1000 } = command.opts<{ stream: boolean; interval?: number }>();
  const samples = readLines<readonly ContainerStats[]>(context, "GET /v1/stats", {
    intervalMs: interval,
    ...(command.args.length === 0 ? {} : { names: command.args.join(",") }),
  });
  for await (const sample of samples) {
    if (context.json) {
      if (stream) print(JSON.stringify(sample));
      else printJson(sample);
    } else {
      // Home and "erase below" (ECMA-48 CUP, ED), so that the table stays where it is.
      const home = stream && process.stdout.isTTY ? "\u001b[H\u001b[J" : "";
      print(home + formatSample(sample));
    }
    if (!stream) return;
  }
}

function formatSample(sample: readonly ContainerStats[]): string {
  return formatTable(
    ["NAME", "CPU %", "MEMORY", "LIMIT", "PIDS", "NET IN", "NET OUT", "READ", "WRITTEN"],
    sample.map((stats) => [
      stats.name,
      stats.cpuPercent.toFixed(1),
      formatBytes(stats.memoryBytes),
      stats.memoryBytesMax === null ? "-" : formatBytes(stats.memoryBytesMax),
      String(stats.pids),
      formatBytes(stats.networkReceiveBytes),
      formatBytes(stats.networkTransmitBytes),
      formatBytes(stats.blockReadBytes),
      formatBytes(stats.blockWriteBytes),
    ]),
  );
}
