import { stripVTControlCharacters } from "node:util";
import type { Command } from "commander";
import type { LogLine } from "../../runtime/runtime.ts";
import { readLines } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { whenDrained } from "../terminal.ts";

type LogsOptions = {
  readonly follow?: boolean;
  readonly tail?: number;
  readonly since?: number;
  readonly timestamps?: boolean;
};

/** The container's stdout to stdout, its stderr to stderr; with --json both to stdout, one object a line. */
export async function runLogs(context: Context, command: Command): Promise<undefined> {
  const { follow = false, tail, since, timestamps = false } = command.opts<LogsOptions>();
  const lines = readLines<LogLine>(context, "GET /v1/logs", {
    name: command.args[0],
    follow,
    tail,
    sinceMs: since,
  });
  for await (const line of lines) {
    const stream = line.stream === "stderr" && !context.json ? process.stderr : process.stdout;
    stream.write(
      context.json ? `${JSON.stringify(line)}\n` : formatLine(line, stream.isTTY, timestamps),
    );
    await whenDrained(stream);
  }
}

/** Byte for byte when piped; on a terminal nothing that the terminal would obey. */
function formatLine({ time, text }: LogLine, forTerminal: boolean, timestamps: boolean): string {
  const ended = text.endsWith("\n") ? text : `${text}\n`;
  const shown = forTerminal
    ? stripVTControlCharacters(ended).replace(/(?![\t\n])\p{Cc}/gu, "")
    : ended;
  return timestamps ? `${time} ${shown}` : shown;
}
