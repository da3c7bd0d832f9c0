import type { Command } from "commander";
import type { ImageReport, PruneReport } from "../../agent/control/image-control.ts";
import { call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { formatBytes, formatShort, formatSince } from "../figures.ts";
import { formatTable } from "../table.ts";
import { print, printable, printJson, printNote } from "../terminal.ts";
import { describeImage } from "./images.ts";

export async function runTag(context: Context, command: Command): Promise<undefined> {
  const [name, reference] = command.args;
  const image = await call<ImageReport>(context, "POST /v1/tag", { name, reference });
  if (context.json) printJson(image);
  else print(describeImage(image));
}

/** Removes every named image; one that fails does not keep the others from it. */
export async function runRmi(context: Context, command: Command): Promise<number> {
  const names = new Set(command.args);
  const removals: Removal[] = [];
  for (const name of names) {
    try {
      const removal = await call<Removal>(context, "POST /v1/rmi", { name });
      removals.push(removal);
      if (!context.json) print(describeRemoval(removal));
    } catch (error) {
      if (names.size === 1) throw error;
      printNote(`berth: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (context.json) printJson(removals);
  return removals.length === names.size ? 0 : 1;
}

export async function runPrune(context: Context, command: Command): Promise<undefined> {
  const { all = false, filter, dryRun = false } = command.opts<PruneOptions>();
  const report = await call<PruneReport>(context, "POST /v1/prune", {
    all,
    dryRun,
    olderThanMs: filter,
  });
  if (context.json) {
    printJson(report);
    return;
  }
  const rows = report.images.map(({ references, digest, bytes }) => [
    references.join(" ") || "<none>",
    formatShort(digest),
    formatBytes(bytes),
  ]);
  if (rows.length > 0) print(formatTable(["IMAGE", "DIGEST", "SIZE"], rows));
  print(`${dryRun ? "would free" : "freed"} ${formatBytes(report.bytes)}`);
}

/** Newest first, as others print it. */
export async function runImageHistory(context: Context, command: Command): Promise<undefined> {
  const history = await call<readonly HistoryEntry[]>(context, "GET /v1/image-history", {
    name: command.args[0],
  });
  if (context.json) {
    printJson(history);
    return;
  }
  const rows = history
    .toReversed()
    .map(({ createdAt, createdBy, layer, comment }) => [
      layer === undefined ? "-" : formatShort(layer.digest),
      formatSince(createdAt ?? null),
      layer === undefined ? "-" : formatBytes(layer.sizeBytes),
      [createdBy, comment === undefined ? "" : `# ${comment}`].filter(Boolean).join(" "),
    ]);
  print(formatTable(["LAYER", "CREATED", "SIZE", "BY"], rows));
}

type Removal = {
  readonly digest: string;
  readonly references: readonly string[];
  readonly isRemoved: boolean;
  readonly bytes: number;
};

type PruneOptions = {
  readonly all?: boolean;
  readonly filter?: number;
  readonly dryRun?: boolean;
};

type HistoryEntry = {
  readonly createdAt?: string;
  readonly createdBy: string;
  readonly comment?: string;
  readonly layer?: { readonly digest: string; readonly sizeBytes: number };
};

function describeRemoval({ digest, references, isRemoved, bytes }: Removal): string {
  const name = printable(references.join(" ") || digest);
  return isRemoved ? `removed ${name}, freed ${formatBytes(bytes)}` : `untagged ${name}`;
}
