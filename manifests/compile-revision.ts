import { setImmediate } from "node:timers/promises";
import { revisionBudget } from "./compose/budget.ts";
import { checkRevision } from "./compose/check-revision.ts";
import { envFileBytesMax } from "./compose/dotenv.ts";
import type { KeptApps } from "./compose/kept-apps.ts";
import { type LoadedApp, loadApp } from "./compose/load-app.ts";
import { SharedApps } from "./compose/shared-apps.ts";
import type { Admit, CommitSha, CompileResult, DesiredState, FileReader } from "./desired-state.ts";
import { collectDiagnostics, type Report } from "./diagnostics.ts";
import {
  type AppSource,
  type ComposeDirectories,
  composeDirectories,
  findApps,
  normalizeRoot,
} from "./find-apps.ts";
import { appsOfHost } from "./fleet/apps-of-host.ts";
import { checkFleet } from "./fleet/check-fleet.ts";
import { type HostView, reportViews } from "./fleet/host-views.ts";
import { warnOfIdleApps } from "./fleet/idle-apps.ts";
import { knownHosts } from "./fleet/known-hosts.ts";
import { type Fleet, fleetFile, readFleet } from "./fleet/read-fleet.ts";
import { type ReadAhead, readAhead } from "./read-ahead.ts";
import { TreeReader } from "./trees/tree-reader.ts";
import { formatPath, locateKey } from "./yaml/node.ts";
import { yamlBytesMax } from "./yaml/parse-yaml.ts";

export type CompileRequest = {
  readonly revision: CommitSha;
  readonly reader: FileReader;
  /** The host to compile for. Without a `berth.yaml`, every app runs on every host. */
  readonly host: string;
  /** What placement constraints may ask for. */
  readonly hostLabels?: Readonly<Record<string, string>>;
  /** Profiles that are active in every app. */
  readonly profiles?: readonly string[];
  /** Directory of the repository to look below; `.` for all of it. */
  readonly path: string;
  readonly abort: AbortSignal;
  /** What the host grants; without it, everything. */
  readonly admit?: Admit | undefined;
  /** Called with each app that was read, before the revision as a whole is checked. */
  readonly onLoaded?: ((app: LoadedApp) => void) | undefined;
  /** Apps of the revision before, which are not loaded again where nothing of them changed. */
  readonly kept?: KeptApps | undefined;
};

/**
 * Compiles a commit into what a host shall run. Every directory below `path` with a Compose file is an app, or where
 * there is a `berth.yaml`, those that it gives to the host. Mistakes never throw: all of them come back, sorted by
 * file, line and column. Rejects when the reader fails or `abort` fires.
 */
export async function compileRevision(request: CompileRequest): Promise<CompileResult> {
  const { report, finish } = collectDiagnostics();
  const reader = readAhead(request.reader);
  const tree = await readRevision({ ...request, report });
  const { kept } = request;
  kept?.begin();
  const load: typeof loadApp = (app) => kept?.load(app) ?? loadApp(app);
  const desired = await compileForHost({ ...request, reader, tree, load, report });
  const { errors, warnings } = finish();
  return errors.length > 0 ? { ok: false, errors } : { ok: true, desired, warnings };
}

/** A fleet as seen through the eyes of each of its hosts. */
export type FleetResult = CompileResult & {
  /** Empty without a `berth.yaml`, or where it names no host. */
  readonly hosts: readonly string[];
};

/**
 * Compiles for every host that `berth.yaml` knows, and for `host` where it knows none. What is wrong on some hosts
 * alone says on which. Also warns of apps that no host runs. Rejects as `compileRevision` does.
 */
export async function compileFleet(
  request: Omit<CompileRequest, "host"> & { readonly host: string },
): Promise<FleetResult> {
  const { report, finish } = collectDiagnostics();
  const reader = readAhead(request.reader);
  const tree = await readRevision({ ...request, report });
  const { fleet, directories } = tree;
  const hosts = fleet === undefined ? [] : knownHosts(fleet);
  const shared = new SharedApps();
  const load: typeof loadApp = (app) => shared.load(app);
  const views: HostView[] = [];
  let desired: DesiredState | undefined;
  for (const host of hosts.length === 0 ? [request.host] : hosts) {
    const own = collectDiagnostics();
    const place = { reader, host, tree, load, report: own.report };
    const compiled = await compileForHost({ ...request, ...place });
    desired = desired === undefined ? compiled : withAppsOf(desired, compiled);
    views.push({ host, lists: own.finish() });
  }
  reportViews({ views, report });
  if (fleet !== undefined) warnOfIdleApps({ fleet, hosts, root: tree.root, directories, report });
  const { errors, warnings } = finish();
  if (errors.length > 0 || desired === undefined) return { ok: false, errors, hosts };
  return { ok: true, desired, warnings, hosts };
}

/** Every app once: an app is counted once, however many hosts run it. */
function withAppsOf(all: DesiredState, more: DesiredState): DesiredState {
  const names = new Set(all.apps.map(({ name }) => name));
  return { ...all, apps: [...all.apps, ...more.apps.filter(({ name }) => !names.has(name))] };
}

/** What `berth.yaml` and the list of files say, before a host is looked at. */
type RevisionTree = {
  readonly files: ReadonlySet<string>;
  readonly directories: ComposeDirectories;
  readonly root: string;
  readonly fleet: Fleet | undefined;
  readonly trees: TreeReader;
  /** False: `berth.yaml` has mistakes, which must not read as a file that is not there. */
  readonly isReadable: boolean;
};

async function readRevision({
  reader,
  path,
  report,
}: Omit<CompileRequest, "host"> & { readonly report: Report }): Promise<RevisionTree> {
  const files = new Set(await reader.list());
  const root = normalizeRoot(path);
  checkRoot({ files, root, report });
  const fleet = files.has(fleetFile) ? await readFleet({ reader, report }) : undefined;
  if (fleet !== undefined) checkFleet(fleet, report);
  const isReadable = fleet !== undefined || !files.has(fleetFile);
  const trees = new TreeReader(reader);
  return { files, directories: composeDirectories(files), root, fleet, trees, isReadable };
}

async function compileForHost({
  revision,
  reader,
  host,
  abort,
  admit,
  onLoaded,
  tree,
  load,
  kept,
  report,
}: CompileRequest & {
  readonly reader: ReadAhead;
  readonly tree: RevisionTree;
  readonly load: typeof loadApp;
  readonly report: Report;
}): Promise<DesiredState> {
  const loaded: LoadedApp[] = [];
  const { fleet } = tree;
  const shared = {
    reader,
    budget: revisionBudget(),
    trees: tree.trees,
    host: { name: host, labels: fleet?.model.hosts?.get(host)?.labels ?? new Map() },
    report,
  };
  const sources = sourcesOf({ tree, host, report });
  for (const [index, source] of sources.entries()) {
    const next = sources[index + 1];
    if (next !== undefined && kept?.holds({ ...shared, source: next }) !== true)
      beginReading(reader, next);
    // Parsing is work without waits: whoever shares the event loop gets a turn between two apps.
    await setImmediate(undefined, { signal: abort });
    const app = await load({ source, ...shared });
    if (app === undefined) continue;
    loaded.push(app);
    onLoaded?.(app);
  }
  checkRevision({ loaded, report });
  if (admit !== undefined) checkAdmission({ loaded, admit, report });
  const atomic = fleet?.model.rollout?.atomic;
  return {
    revision,
    apps: loaded.map(({ app }) => app).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    ...treesOf(loaded, tree.trees),
    ...(atomic === undefined ? {} : { atomic }),
  };
}

function beginReading(reader: ReadAhead, source: AppSource): void {
  for (const file of source.files) reader.begin(file, yamlBytesMax);
  if (source.envFile !== undefined) reader.begin(source.envFile, envFileBytesMax);
}

/** Those that the apps mount: the reader may have seen others through the eyes of another host. */
function treesOf(loaded: readonly LoadedApp[], reader: TreeReader): Pick<DesiredState, "trees"> {
  const mounts = loaded.flatMap(({ app }) => app.services.flatMap((service) => service.mounts));
  const digests = new Set(mounts.flatMap((mount) => ("tree" in mount ? [mount.tree] : [])));
  const trees = Object.entries(reader.trees()).filter(([digest]) => digests.has(digest));
  return trees.length === 0 ? {} : { trees: Object.fromEntries(trees) };
}

function sourcesOf({
  tree: { fleet, isReadable, ...found },
  host,
  report,
}: {
  readonly tree: RevisionTree;
  readonly host: string;
  readonly report: Report;
}): readonly AppSource[] {
  if (fleet !== undefined) return appsOfHost({ fleet, host, ...found, report });
  return isReadable ? findApps({ ...found, report }) : [];
}

function checkAdmission({
  loaded,
  admit,
  report,
}: {
  readonly loaded: readonly LoadedApp[];
  readonly admit: Admit;
  readonly report: Report;
}): void {
  for (const { app, file } of loaded) {
    for (const service of app.services) {
      for (const { path, message } of admit(service)) {
        const full = ["services", service.name, ...path];
        report.error(locateKey(file.root, full), `${formatPath(full)}: ${message}`);
      }
    }
  }
}

/** A path that leads nowhere must not read as "run nothing": that would remove everything. */
function checkRoot({
  files,
  root,
  report,
}: {
  readonly files: ReadonlySet<string>;
  readonly root: string;
  readonly report: Report;
}): void {
  if (root !== "." && ![...files].some((file) => file.startsWith(`${root}/`)))
    report.error(
      { file: root, line: 1, column: 1 },
      "there is no such directory in the revision: a directory with apps below it is expected",
    );
}
