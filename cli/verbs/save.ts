import { resolve } from "node:path";
import type { Command } from "commander";
import { call, readBytes } from "../agent-client.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { formatBytes } from "../figures.ts";
import { writeOutput } from "../output-file.ts";
import { createProgressLine } from "../progress-line.ts";
import { print, printJson } from "../terminal.ts";

/** Archives are written here, as whoever asks; the agent writes a layout directory. */
export async function runSave(context: Context, command: Command): Promise<undefined> {
  const { output, format } = command.opts<{ output?: string; format: string }>();
  const names = command.args;
  if (format === "oci") {
    if (output === undefined)
      throw new CliError(2, "cannot write a directory to standard output: name one with --output");
    const path = resolve(output);
    const progress = createProgressLine();
    progress.show(`writing ${path}`);
    await call(context, "POST /v1/save-layout", { names, path }).finally(progress.clear);
    if (context.json) printJson({ path, format });
    else print(`saved ${path}`);
    return;
  }
  const bytes = await writeOutput(readBytes(context, "POST /v1/save", { names, format }), output);
  if (output === undefined) return;
  if (context.json) printJson({ path: resolve(output), format, bytes });
  else print(`saved ${resolve(output)}, ${formatBytes(bytes)}`);
}
