import type { Report } from "../diagnostics.ts";
import { suggestion } from "../nearest-name.ts";
import { formatPath, locate, locateKey, type Path } from "../yaml/node.ts";
import type { HostSelector } from "./host-selector.ts";
import { selectorMatches } from "./host-selector.ts";
import type { Fleet } from "./read-fleet.ts";

/** Reports names in `berth.yaml` that lead nowhere, and circles of `after`. */
export function checkFleet(fleet: Fleet, report: Report): void {
  const { model, root } = fleet;
  checkSelectors({ fleet, path: ["defaults", "hosts"], selectors: model.defaults?.hosts, report });
  for (const [name, app] of model.apps) {
    const path = ["apps", name];
    checkSelectors({ fleet, path: [...path, "hosts"], selectors: app.hosts, report });
    for (const host of app.byHost?.keys() ?? []) {
      if (model.hosts === undefined || model.hosts.has(host)) continue;
      const at = [...path, "byHost", host];
      report.error(locateKey(root, at), unknownHost(at, host, model.hosts.keys()));
    }
    for (const [index, other] of (app.after ?? []).entries()) {
      const at = [...path, "after", index];
      if (!model.apps.has(other)) {
        const known = suggestion(other, model.apps.keys());
        report.error(locate(root, at), `${formatPath(at)}: there is no app "${other}"${known}`);
      }
    }
  }
  for (const circle of circlesOf(model.apps)) {
    const at = ["apps", circle[0] ?? "", "after"];
    const message = `${formatPath(at)}: the apps wait for each other: ${circle.join(" -> ")}`;
    report.error(locateKey(root, at), message);
  }
}

/** `path: there is no host "x" in hosts; did you mean "y"?` */
function unknownHost(path: Path, host: string, known: Iterable<string>): string {
  return `${formatPath(path)}: there is no host "${host}" in hosts${suggestion(host, known)}`;
}

function checkSelectors({
  fleet: { model, root },
  path,
  selectors,
  report,
}: {
  readonly fleet: Fleet;
  readonly path: Path;
  readonly selectors: readonly HostSelector[] | undefined;
  readonly report: Report;
}): void {
  const { hosts } = model;
  if (hosts === undefined) return;
  for (const [index, selector] of (selectors ?? []).entries()) {
    const matches = [...hosts].some(([name, host]) =>
      selectorMatches(selector, { name, labels: host.labels ?? new Map() }),
    );
    if (matches) continue;
    // One selector may stand there without a list.
    const at = locate(root, [...path, index]);
    if (selector.kind === "name")
      report.error(at, unknownHost([...path, index], selector.name, hosts.keys()));
    else report.warn(at, `${formatPath([...path, index])}: no host matches "${selector.text}"`);
  }
}

/** Each circle once, as the names along it with the first one again at its end. */
function circlesOf(
  apps: ReadonlyMap<string, { readonly after?: readonly string[] | undefined }>,
): readonly (readonly string[])[] {
  const done = new Set<string>();
  const circles: string[][] = [];
  const visit = (name: string, way: readonly string[]): void => {
    const start = way.indexOf(name);
    if (start !== -1) circles.push([...way.slice(start), name]);
    if (start !== -1 || done.has(name)) return;
    for (const other of apps.get(name)?.after ?? []) visit(other, [...way, name]);
    done.add(name);
  };
  for (const name of apps.keys()) visit(name, []);
  return circles;
}
