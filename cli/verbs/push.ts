import type { Command } from "commander";
import type { TransferStep } from "../../agent/images/transfer-meter.ts";
import { readLines } from "../agent-client.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { createProgressLine } from "../progress-line.ts";
import { print, printable, printJson } from "../terminal.ts";
import { TransferProgress } from "../transfer-progress.ts";

type Sent = {
  readonly reference: string;
  readonly digest: string;
  readonly missingPlatforms?: readonly string[];
};
type Line =
  | { readonly progress: TransferStep }
  | { readonly pushed: Sent }
  | { readonly copied: Sent };

export async function runPush(context: Context, command: Command): Promise<undefined> {
  const [name, target] = command.args;
  await transfer(context, "POST /v1/push", { name, target });
}

export async function runCopy(context: Context, command: Command): Promise<undefined> {
  const [from, to] = command.args;
  const { all = false } = command.opts<{ all?: boolean }>();
  await transfer(context, "POST /v1/copy", { from, to, all });
}

async function transfer(
  context: Context,
  route: string,
  input: Readonly<Record<string, string | boolean | undefined>>,
): Promise<void> {
  const line = createProgressLine();
  const progress = new TransferProgress();
  let sent: Sent | undefined;
  try {
    for await (const step of readLines<Line>(context, route, input)) {
      if ("pushed" in step) sent = step.pushed;
      else if ("copied" in step) sent = step.copied;
      else line.show(progress.note(step.progress, performance.now()));
    }
  } finally {
    line.clear();
  }
  if (sent === undefined) {
    throw new CliError(1, "cannot say how it ended because the agent ended meanwhile: do it again");
  }
  if (context.json) printJson(sent);
  else print(printable(`${sent.reference} ${sent.digest}`));
  const missing = sent.missingPlatforms ?? [];
  if (missing.length > 0) {
    process.stderr.write(
      `${printable(`the image of this host's platform was pushed alone: its index also has ${missing.join(", ")}, which is not here`)}\n`,
    );
  }
}
