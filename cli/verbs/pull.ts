import type { Command } from "commander";
import type { ImageReport } from "../../agent/control/image-control.ts";
import type { TransferStep } from "../../agent/images/transfer-meter.ts";
import { readLines } from "../agent-client.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { createProgressLine } from "../progress-line.ts";
import { print, printJson } from "../terminal.ts";
import { TransferProgress } from "../transfer-progress.ts";
import { describeImage } from "./images.ts";

type PullLine = { readonly progress: TransferStep } | { readonly image: ImageReport };

export async function runPull(context: Context, command: Command): Promise<undefined> {
  const line = createProgressLine();
  const progress = new TransferProgress();
  let image: ImageReport | undefined;
  try {
    for await (const step of readLines<PullLine>(context, "POST /v1/pull", {
      reference: command.args[0],
    })) {
      if ("image" in step) {
        image = step.image;
      } else {
        line.show(progress.note(step.progress, performance.now()));
      }
    }
  } finally {
    line.clear();
  }
  if (image === undefined)
    throw new CliError(
      1,
      "cannot say how the pull ended because the agent ended meanwhile: pull again",
    );
  if (context.json) printJson(image);
  else print(describeImage(image));
}
