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
  for (const name of activeServices(file, profiles)) {
    const model = file.services.get(name);
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

/** The services without a profile, and those of which one is active. */
export function activeServices(
  file: FileModel,
  profiles: ReadonlySet<string>,
): ReadonlySet<string> {
  const names = [...file.services.keys()].filter((name) => {
    const own = file.services.get(name)?.profiles ?? [];
    return own.length === 0 || profiles.has("*") || own.some((profile) => profiles.has(profile));
  });
  return new Set(names);
}
