import type { Report } from "../diagnostics.ts";
import { locate, type Path } from "../yaml/node.ts";
import { holdsOn, type PlacementHost } from "./placement.ts";
import type { FileModel } from "./read-file.ts";

/**
 * The services that run on this host: without a profile or with an active one (`*` is all of them), and with
 * constraints that hold here. A constraint that does not is warned of.
 */
export function enabledServices({
  file,
  profiles,
  host,
  report,
}: {
  readonly file: FileModel;
  readonly profiles: ReadonlySet<string>;
  readonly host: PlacementHost;
  readonly report: Report;
}): ReadonlySet<string> {
  const enabled = new Set<string>();
  for (const [name, model] of file.services) {
    const own = model?.profiles ?? [];
    const isActive = profiles.has("*") || own.some((profile) => profiles.has(profile));
    if (own.length > 0 && !isActive) continue;
    const constraints = model?.deploy?.placement?.constraints ?? [];
    const unmet = constraints.findIndex((constraint) => !holdsOn(constraint, host));
    if (unmet === -1) {
      enabled.add(name);
      continue;
    }
    const path: Path = ["services", name, "deploy", "placement", "constraints", unmet];
    report.warn(
      locate(file.root, path),
      `services.${name} does not run on the host ${host.name}: ${constraints[unmet]} does not hold there`,
    );
  }
  return enabled;
}
