import type { Command } from "commander";
import type { Control } from "../../agent/control.ts";
import type { ImageReport } from "../../agent/image-control.ts";
import { readLines } from "../agent-client.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { formatBytes } from "../figures.ts";
import { createProgressLine } from "../progress-line.ts";
import { print, printJson } from "../terminal.ts";
import { describeImage } from "./images.ts";

type Progress = Parameters<Parameters<Control["pull"]>[1]["onProgress"]>[0];
type PullLine = { readonly progress: Progress } | { readonly image: ImageReport };

export async function runPull(context: Context, command: Command): Promise<undefined> {
  const line = createProgressLine();
  const layers = new Map<string, Progress>();
  const startedMs = performance.now();
  let image: ImageReport | undefined;
  try {
    for await (const step of readLines<PullLine>(context, "POST /v1/pull", {
      reference: command.args[0],
    })) {
      if ("image" in step) {
        image = step.image;
      } else {
        layers.set(step.progress.layer ?? "", step.progress);
        line.show(describeProgress([...layers.values()], performance.now() - startedMs));
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

/** `download 12.0 MiB of 48.1 MiB, 8.3 MiB/s`, over all layers that are under way. */
function describeProgress(layers: readonly Progress[], elapsedMs: number): string {
  const bytesDone = layers.reduce((sum, layer) => sum + layer.bytesDone, 0);
  const bytesTotal = layers.reduce((sum, layer) => sum + layer.bytesTotal, 0);
  const phase = layers.at(-1)?.phase ?? "resolve";
  if (bytesTotal === 0) return phase;
  const bytesPerSecond = bytesDone / Math.max(0.001, elapsedMs / 1000);
  return `${phase} ${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}, ${formatBytes(Math.round(bytesPerSecond))}/s`;
}
