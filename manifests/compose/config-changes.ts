import { quoteValue, type Report } from "../diagnostics.ts";
import { formatPath, locate, type MappingNode, nodeAt, type Path } from "../yaml/node.ts";

/** `x-berth.on-config-change` of services: a wish that is not granted must not read as one that is. */
export function checkConfigChanges(root: MappingNode, report: Report): void {
  const services = root.entries.get("services")?.value;
  if (services?.kind !== "mapping") return;
  for (const name of services.entries.keys()) {
    const path: Path = ["services", name, "x-berth", "on-config-change"];
    const wish = nodeAt(root, path);
    if (wish === undefined || (wish.kind === "scalar" && wish.value === "recreate")) continue;
    const shown = wish.kind === "scalar" ? quoteValue(wish.value) : "this";
    report.error(
      locate(root, path),
      `not supported by berth: ${formatPath(path)}: ${shown}: a change of content makes the service anew, remove it or write recreate`,
    );
  }
}
