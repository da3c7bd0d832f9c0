import type { Report } from "../diagnostics.ts";
import { type AppSource, appSource, type ComposeDirectories } from "../find-apps.ts";
import { suggestion } from "../nearest-name.ts";
import { formatPath, locateKey } from "../yaml/node.ts";
import type { FleetApp, FleetLayer } from "./fleet-model.ts";
import { pathOf, runsOn } from "./known-hosts.ts";
import { type Labels, labelsMatch, parseLabelExpression } from "./label-expression.ts";
import type { Fleet } from "./read-fleet.ts";

export type HostRequest = {
  readonly fleet: Fleet;
  readonly host: string;
  /** Every file of the revision. */
  readonly files: ReadonlySet<string>;
  readonly directories: ComposeDirectories;
  /** Directory below which apps count; `.` for all. */
  readonly root: string;
  readonly report: Report;
};

/** What a host runs, before any Compose file is read. A host that `hosts` does not name is reported. */
export function appsOfHost(request: HostRequest): readonly AppSource[] {
  const { fleet, host, root, report } = request;
  const { hosts } = fleet.model;
  if (hosts !== undefined && !hosts.has(host)) {
    const message =
      `hosts: this host is called "${host}", which is not among them${suggestion(host, hosts.keys())}: ` +
      "add it, or name another one with --host";
    report.error(locateKey(fleet.root, ["hosts"]), message);
    return [];
  }
  return [...fleet.model.apps.keys()]
    .filter((name) => runsOn({ fleet, name, host }))
    .filter((name) => isBelow(root, pathOf(fleet, name)))
    .flatMap((name) => sourceOf(request, name) ?? []);
}

function isBelow(root: string, path: string): boolean {
  return root === "." || path === root || path.startsWith(`${root}/`);
}

function labelsOf(labels: Labels | undefined): Labels {
  return labels ?? new Map();
}

function sourceOf(request: HostRequest, name: string): AppSource | undefined {
  const { fleet, host, files } = request;
  const app = fleet.model.apps.get(name);
  if (app === undefined) return undefined;
  const directory = pathOf(fleet, name);
  const layers = layersOf({ fleet, app, host });
  const chosen = filesOf({ request, name, app, layers });
  if (chosen === undefined) return undefined;
  const envFile = directory === "." ? ".env" : `${directory}/.env`;
  const { defaults = {} } = fleet.model;
  return {
    directory,
    files: chosen,
    ...(files.has(envFile) ? { envFile } : {}),
    name,
    profiles: [...new Set([defaults, app, ...layers].flatMap(({ profiles }) => profiles ?? []))],
    variables: variablesOf({ fleet, app, layers, host }),
    after: (app.after ?? []).filter((other) => runsOn({ fleet, name: other, host })),
  };
}

/** The app's own `files`, else the Compose file of its directory; then those of the layers. */
function filesOf({
  request: { fleet, files, directories, report },
  name,
  app,
  layers,
}: {
  readonly request: HostRequest;
  readonly name: string;
  readonly app: FleetApp;
  readonly layers: readonly FleetLayer[];
}): readonly string[] | undefined {
  const directory = pathOf(fleet, name);
  const place = formatPath(["apps", name]);
  const at = locateKey(fleet.root, ["apps", name]);
  const found = app.files === undefined ? appSource({ directory, directories, report }) : undefined;
  if (app.files === undefined && found === undefined) {
    const where = directory === "." ? "the repository's root" : directory;
    report.error(at, `${place}: there is no Compose file in ${where}: set path to its directory`);
    return undefined;
  }
  const prefix = directory === "." ? "" : `${directory}/`;
  const named = [app, ...layers].flatMap((layer) => layer.files ?? []).map((file) => prefix + file);
  const missing = named.filter((file) => !files.has(file));
  for (const file of missing)
    report.error(at, `${place}: there is no file ${file} in the revision`);
  return missing.length > 0 ? undefined : [...(found?.files ?? []), ...named];
}

/** Base < label groups in the order of the file < host. */
function layersOf({
  fleet,
  app,
  host,
}: {
  readonly fleet: Fleet;
  readonly app: FleetApp;
  readonly host: string;
}): readonly FleetLayer[] {
  const labels = labelsOf(fleet.model.hosts?.get(host)?.labels);
  const groups = [...(app.byLabel ?? [])]
    .filter(([text]) => labelsMatch(parseLabelExpression(text) ?? [], labels))
    .map(([, layer]) => layer);
  const own = app.byHost?.get(host);
  return own === undefined ? groups : [...groups, own];
}

/** The host's own variables are a layer above the label groups and below what the app says of this host. */
function variablesOf({
  fleet,
  app,
  layers,
  host,
}: {
  readonly fleet: Fleet;
  readonly app: FleetApp;
  readonly layers: readonly FleetLayer[];
  readonly host: string;
}): ReadonlyMap<string, string> {
  const { defaults, hosts } = fleet.model;
  const own = app.byHost?.get(host);
  const groups = layers.filter((layer) => layer !== own);
  const sources = [
    defaults?.environment,
    app.environment,
    ...groups.map(({ environment }) => environment),
    hosts?.get(host)?.variables,
    own?.environment,
  ];
  return new Map([["BERTH_HOST", host], ...sources.flatMap((source) => [...(source ?? [])])]);
}
