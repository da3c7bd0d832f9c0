import type { HostFeature } from "../../runtime/host-features.ts";
import type { Context } from "../context.ts";
import { type Cell, formatTable } from "../table.ts";
import { print, printable, printJson } from "../terminal.ts";

/** Needs no agent. 1: something that berth cannot do without is missing. */
export async function runDoctor(context: Context): Promise<number> {
  const { hostFeatures } = await import("../../runtime/doctor.ts");
  const { libDir } = context;
  const features: readonly HostFeature[] = await hostFeatures({ libDir });
  if (context.json) printJson(features);
  else printFeatures(features);
  return features.every(({ ok, required }) => ok || !required) ? 0 : 1;
}

function printFeatures(features: readonly HostFeature[]): void {
  print(
    formatTable(
      ["FEATURE", "", "FOUND"],
      features.map((feature) => [feature.name, mark(feature), feature.detail]),
    ),
  );
  const wanting = features.filter(({ ok }) => !ok);
  if (wanting.length > 0) print("");
  for (const { name, fix, required } of wanting) {
    const consequence = required ? "needed" : "berth works without it, with less";
    print(printable(`${name} (${consequence}): ${fix ?? "no fix is known"}`));
  }
}

function mark({ ok, required }: HostFeature): Cell {
  if (ok) return { text: "ok", color: "green" };
  return required ? { text: "missing", color: "red" } : { text: "without", color: "yellow" };
}
