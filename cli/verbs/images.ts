import type { Command } from "commander";
import type { ImageReport } from "../../agent/control/image-control.ts";
import { call } from "../agent-client.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { formatBytes, formatShort, formatSince } from "../figures.ts";
import { withInputFile } from "../input-file.ts";
import { createProgressLine } from "../progress-line.ts";
import { formatTable } from "../table.ts";
import { print, printable, printJson } from "../terminal.ts";

export async function runImages(context: Context): Promise<undefined> {
  const images = await call<readonly ImageReport[]>(context, "GET /v1/images");
  if (context.json) {
    printJson(images);
    return;
  }
  const rows = images.flatMap((image) =>
    (image.references.length === 0 ? ["<none>"] : image.references).map((reference) => [
      reference,
      formatShort(image.digest),
      formatBytes(image.sizeBytes),
      formatSince(image.pulledAt),
      image.inUse ? "yes" : "no",
    ]),
  );
  print(formatTable(["REFERENCE", "DIGEST", "SIZE", "PULLED", "IN USE"], rows));
}

/** FILE is found from here, and read by the agent. */
export async function runLoad(context: Context, command: Command): Promise<undefined> {
  const { reference, input } = command.opts<{ reference?: string; input?: string }>();
  const [named] = command.args;
  if (named !== undefined && input !== undefined) {
    throw new CliError(2, `cannot load both ${named} and ${input}: name one file`);
  }
  const images = await withInputFile(named ?? input ?? "-", async (path) => {
    const progress = createProgressLine();
    progress.show(`loading ${path}`);
    const order = { path, reference };
    return call<readonly ImageReport[]>(context, "POST /v1/load", order).finally(progress.clear);
  });
  if (context.json) printJson(images);
  else for (const image of images) print(describeImage(image));
}

/** `name@digest`, or the digest of an image without a name. */
export function describeImage({ references, digest }: ImageReport): string {
  return printable(references.length === 0 ? digest : `${references.join(" ")} ${digest}`);
}
