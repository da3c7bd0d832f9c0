import { canonicalApp } from "../canonical/canonical-app.ts";
import type { Json } from "../canonical/kinds.ts";
import type { App, FileReader } from "../desired-state.ts";
import { quoteValue, type Report } from "../diagnostics.ts";
import type { AppSource } from "../find-apps.ts";
import { readComposeFiles } from "../merge/compose-files.ts";
import { DocumentReader } from "../merge/load-documents.ts";
import type { AppTrees } from "../trees/tree-reader.ts";
import type { Node, Position } from "../yaml/node.ts";
import { AppName } from "./app-name.ts";
import type { Budget } from "./budget.ts";
import { buildApp } from "./build-app.ts";
import { checkModel } from "./check-model.ts";
import { envFileBytesMax, parseDotenv } from "./dotenv.ts";
import { activeServices, enabledServices } from "./enabled-services.ts";
import { readServiceFiles } from "./env-files.ts";
import { interpolate } from "./interpolate.ts";
import { readMountedTrees } from "./mounted-trees.ts";
import type { PlacementHost } from "./placement.ts";
import { type FileModel, readFile } from "./read-file.ts";
import { readGrants } from "./read-grants.ts";
import type { Lookup } from "./template.ts";
import { warnOfLabels } from "./warn-of-labels.ts";

/** An app with the document it came from, which later checks need for positions. */
export type LoadedApp = {
  readonly app: App;
  readonly namedAt: Position;
  readonly file: FileModel;
  /** As Compose prints it; relative paths begin at `projectDirectory`. */
  canonical(projectDirectory: string): Json;
};

export type LoadRequest = {
  readonly source: AppSource;
  readonly reader: FileReader;
  readonly budget: Budget;
  readonly host: PlacementHost;
  /** Takes in the files of the revision that the app mounts. */
  readonly trees: AppTrees;
  readonly report: Report;
};

/**
 * One app, stage by stage: bytes -> document -> interpolated document -> checked values -> app.
 * Undefined when a stage left nothing for the next one; the reasons are reported. Rejects only
 * when the reader fails.
 */
export async function loadApp(request: LoadRequest): Promise<LoadedApp | undefined> {
  const { source, reader, budget, host, trees, report } = request;
  const environment = await loadEnvironment(request);
  const { directory } = source;
  const documents = new DocumentReader({ directory, reader, budget }, report);
  const at = { file: source.files[0] ?? directory, line: 1, column: 1 };
  const roots: Node[] = [];
  for (const path of source.files) roots.push(...((await documents.parse(path, at)) ?? []));
  const own: Lookup = (name) => source.variables?.get(name) ?? environment.get(name);
  const named = nameApp({
    roots,
    source,
    fromEnvironment: environment.get(projectVariable),
    lookup: own,
    budget,
    report,
  });
  const lookup: Lookup = (name) =>
    own(name) ?? (name === projectVariable ? named?.name : undefined);
  const place = { directory, trail: [] };
  const root = await readComposeFiles({
    reader: documents,
    paths: source.files,
    place,
    lookup,
    at,
  });
  if (root === undefined) return undefined;
  const file = readFile({ root, report });
  if (file === undefined || named === undefined) return undefined;
  warnOfLabels(file.root, report);
  const profiles = new Set([...(source.profiles ?? []), ...profilesOf(environment)]);
  const enabled = enabledServices({ file, profiles, host, report });
  const files = await readServiceFiles({
    file,
    files: { directory, reader, budget },
    lookup,
    report,
  });
  const { name } = named;
  const app = buildApp({
    name,
    path: directory,
    file,
    files,
    enabled,
    lookup,
    trees: await readMountedTrees({ file, enabled, directory, trees, report }),
    granted: await readGrants({ file, enabled, directory, reader, trees, lookup, report }),
    report,
  });
  const after = source.after === undefined ? {} : { after: source.after };
  const active = activeServices(file, profiles);
  return {
    app: { ...app, ...after },
    namedAt: named.at,
    file,
    canonical: (projectDirectory) =>
      canonicalApp({ name, root, active, files, lookup, projectDirectory }),
  };
}

const projectVariable = "COMPOSE_PROJECT_NAME";

/** Variables by which `.env` would steer Compose itself, with what to do instead. */
const steering = new Map([
  ["COMPOSE_FILE", "keep one Compose file in the directory"],
  ["COMPOSE_ENV_FILES", "keep the variables in .env"],
]);

/** COMPOSE_PROFILES: names with commas between them. */
function profilesOf(environment: ReadonlyMap<string, string>): readonly string[] {
  return (environment.get("COMPOSE_PROFILES") ?? "")
    .split(",")
    .map((profile) => profile.trim())
    .filter((profile) => profile !== "");
}

async function loadEnvironment({
  source,
  reader,
  budget,
  report,
}: Omit<LoadRequest, "trees">): Promise<ReadonlyMap<string, string>> {
  const file = source.envFile;
  if (file === undefined) return new Map();
  const bytes = await readBounded({ file, bytesMax: envFileBytesMax, budget, reader, report });
  if (bytes === undefined) return new Map();
  const variables = parseDotenv({ file, bytes, budget, report });
  for (const [name, advice] of steering) {
    if (!variables.has(name)) continue;
    report.error(
      { file, line: 1, column: 1 },
      `not supported by berth: ${name} in .env: ${advice}`,
    );
  }
  return variables;
}

async function readBounded({
  file,
  bytesMax,
  budget,
  reader,
  report,
}: {
  readonly file: string;
  readonly bytesMax: number;
  readonly budget: Budget;
  readonly reader: FileReader;
  readonly report: Report;
}): Promise<Uint8Array | undefined> {
  const at = { file, line: 1, column: 1 };
  try {
    const bytes = await reader.read(file, bytesMax);
    if (bytes === undefined) report.error(at, "the file is listed but cannot be read");
    budget.bytesLeft -= bytes?.length ?? 0;
    if (budget.bytesLeft >= 0) return bytes;
    report.error(at, "the Compose files of the revision are too large together: split it");
    return undefined;
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "EFBIG") throw error;
    report.error(at, `the file is too large: at most ${bytesMax} bytes are allowed`);
    return undefined;
  }
}

/**
 * The top-level `name`, else the directory's, lower-cased and stripped of other characters as
 * Compose does.
 */
function nameApp({
  roots,
  source,
  fromEnvironment = "",
  lookup,
  budget,
  report,
}: {
  /** What `.env` says. */
  readonly fromEnvironment?: string | undefined;
  /** The documents; the last one that says a name counts. */
  readonly roots: readonly Node[];
  readonly source: AppSource;
  readonly lookup: Lookup;
  readonly budget: Budget;
  readonly report: Report;
}): { readonly name: string; readonly at: Position } | undefined {
  const [first] = roots;
  if (first === undefined) return undefined;
  if (source.name !== undefined) return { name: source.name, at: first.at };
  if (fromEnvironment !== "") {
    if (AppName.safeParse(fromEnvironment).success) return { name: fromEnvironment, at: first.at };
    const at = { file: source.envFile ?? source.directory, line: 1, column: 1 };
    const expected = "lower-case letters, digits, - and _, beginning with a letter or digit";
    const shown = quoteValue(fromEnvironment);
    report.error(at, `${projectVariable}: ${shown} is not a name for an app: ${expected}`);
    return undefined;
  }
  const root = roots.findLast((each) => each.kind === "mapping" && each.entries.has("name"));
  const entry = root?.kind === "mapping" ? root.entries.get("name") : undefined;
  if (root !== undefined && entry !== undefined) {
    const node = interpolate({ root: entry.value, lookup, budget, report });
    const path = ["name"];
    const values = node.kind === "scalar" ? node.value : node.kind === "sequence" ? [] : {};
    const holder: Node = {
      kind: "mapping",
      entries: new Map([["name", { ...entry, value: node }]]),
      at: root.at,
    };
    const normal = typeof values === "string" ? normalName(values) : "";
    if (normal !== "" && normal !== values && normal.length <= nameLengthMax) {
      report.warn(node.at, `name: ${quoteValue(values)} becomes ${normal}, as Compose has it`);
      return { name: normal, at: node.at };
    }
    const name = checkModel({ schema: AppName, values, root: holder, path, report });
    return name === undefined ? undefined : { name, at: node.at };
  }
  const directory = source.directory.slice(source.directory.lastIndexOf("/") + 1);
  const name = normalName(directory);
  if (name !== "" && name.length <= nameLengthMax) return { name, at: first.at };
  const message = "the app has no name: set name, because the directory gives none";
  report.error(first.at, message);
  return undefined;
}

const nameLengthMax = 63;

/** Lower case, and without what no name may hold; empty where nothing is left. */
function normalName(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, "")
    .replace(/^[_-]+/, "");
}
