import type { Report } from "../diagnostics.ts";
import { formatPath, type Node, nodeAt } from "../yaml/node.ts";

/** Says once for an app that what it mounts gets no SELinux label: where the host wants one, the mount cannot be used. */
export function warnOfLabels(root: Node, report: Report): void {
  const services = nodeAt(root, ["services"]);
  if (services?.kind !== "mapping") return;
  for (const name of services.entries.keys()) {
    const mounts = nodeAt(services, [name, "volumes"]);
    for (const index of mounts?.kind === "sequence" ? mounts.items.keys() : []) {
      const label = nodeAt(services, [name, "volumes", index, "bind", "selinux"]);
      if (label?.kind !== "scalar") continue;
      const place = formatPath(["services", name, "volumes", index]);
      report.warn(label.at, `${place}: SELinux labels are not set: ${label.text} has no effect`);
      return;
    }
  }
}
