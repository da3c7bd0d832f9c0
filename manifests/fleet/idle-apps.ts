import type { Report } from "../diagnostics.ts";
import { type ComposeDirectories, findApps } from "../find-apps.ts";
import { formatPath, locateKey } from "../yaml/node.ts";
import { pathOf, runsOn } from "./known-hosts.ts";
import { type Fleet, fleetFile } from "./read-fleet.ts";

/** Warns of apps that no host runs, and of directories with a Compose file that no app names. */
export function warnOfIdleApps({
  fleet,
  hosts,
  root,
  directories,
  report,
}: {
  readonly fleet: Fleet;
  readonly hosts: readonly string[];
  readonly root: string;
  readonly directories: ComposeDirectories;
  readonly report: Report;
}): void {
  const names = [...fleet.model.apps.keys()];
  for (const name of names) {
    // Without `hosts` any machine may come and ask, so an app that is not tied to names has a host some day.
    const selectors = fleet.model.apps.get(name)?.hosts ?? fleet.model.defaults?.hosts;
    if (fleet.model.hosts === undefined && selectors?.length !== 0) continue;
    if (hosts.some((host) => runsOn({ fleet, name, host }))) continue;
    const message = `${formatPath(["apps", name])}: no host runs this app`;
    report.warn(locateKey(fleet.root, ["apps", name]), message);
  }
  const paths = new Set(names.map((name) => pathOf(fleet, name)));
  // What is wrong with a directory that no app names is nobody's concern.
  const silent: Report = { error() {}, warn() {} };
  for (const { directory, files } of findApps({ directories, root, report: silent })) {
    if (paths.has(directory)) continue;
    const at = { file: files[0] ?? directory, line: 1, column: 1 };
    report.warn(at, `no app in ${fleetFile} has the path ${directory}: no host runs it`);
  }
}
