import { resolve } from "node:path";
import type { Command } from "commander";
import type { ImageReport } from "../../agent/control/image-control.ts";
import { call, readBytes } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { formatBytes } from "../figures.ts";
import { withInputFile } from "../input-file.ts";
import { writeOutput } from "../output-file.ts";
import { createProgressLine } from "../progress-line.ts";
import { print, printJson } from "../terminal.ts";
import { describeImage } from "./images.ts";

type Options = {
  readonly change?: readonly string[];
  readonly message?: string;
  readonly author?: string;
  readonly pause?: boolean;
  readonly output?: string;
};

/** FILE is found from here, and read by the agent; `-` is standard input. */
export async function runImport(context: Context, command: Command): Promise<undefined> {
  const { change: changes, message } = command.opts<Options>();
  const [file = "", reference] = command.args;
  await withInputFile(file, async (path) => {
    const order = { path, reference, changes, message };
    await make(context, { route: "POST /v1/import", order, doing: `importing ${path}` });
  });
}

export async function runCommit(context: Context, command: Command): Promise<undefined> {
  const { change: changes, message, author, pause } = command.opts<Options>();
  const [name, reference] = command.args;
  const order = { name, reference, changes, message, author, pause };
  await make(context, { route: "POST /v1/commit", order, doing: `committing ${name}` });
}

export async function runExport(context: Context, command: Command): Promise<undefined> {
  const { output, pause } = command.opts<Options>();
  const source = readBytes(context, "POST /v1/export", { name: command.args[0], pause });
  const bytes = await writeOutput(source, output);
  if (output === undefined) return;
  if (context.json) printJson({ path: resolve(output), bytes });
  else print(`exported ${resolve(output)}, ${formatBytes(bytes)}`);
}

async function make(
  context: Context,
  request: {
    readonly route: string;
    readonly order: Parameters<typeof call>[2];
    readonly doing: string;
  },
): Promise<void> {
  const progress = createProgressLine();
  progress.show(request.doing);
  const image = await call<ImageReport>(context, request.route, request.order).finally(
    progress.clear,
  );
  if (context.json) printJson(image);
  else print(describeImage(image));
}
