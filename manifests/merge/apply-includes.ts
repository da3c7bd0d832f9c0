import { posix } from "node:path";
import { envFileBytesMax, parseDotenv } from "../compose/dotenv.ts";
import { readAppFile, repositoryPath } from "../compose/read-app-file.ts";
import type { Lookup } from "../compose/template.ts";
import { type Entry, formatPath, type MappingNode, type Position } from "../yaml/node.ts";
import { type Inclusion, readInclusion } from "./inclusion.ts";
import type { DocumentReader } from "./load-documents.ts";
import { mergeNodes } from "./merge-nodes.ts";
import type { FilesRequest, Place } from "./place.ts";
import { relocate } from "./relocate.ts";
import { isRemote, remoteMessage } from "./remote-file.ts";
import { isSameNode } from "./same-node.ts";

type Request = {
  readonly reader: DocumentReader;
  readonly document: MappingNode;
  readonly place: Place;
  readonly lookup: Lookup;
  readonly readFiles: (request: FilesRequest) => Promise<MappingNode | undefined>;
};

const nestingMax = 16;

/** What is taken over from an included file. */
const resources = ["services", "volumes", "networks", "secrets", "configs", "models"];

/** The document with what it includes, over which its own definitions are merged (Compose Specification, "include"). */
export async function applyIncludes(request: Request): Promise<MappingNode> {
  const { reader, document } = request;
  const include = document.entries.get("include");
  if (include === undefined) return document;
  const entries = new Map(document.entries);
  entries.delete("include");
  let merged: MappingNode = { ...document, entries };
  const { value } = include;
  if (value.kind === "scalar" && value.value === null) return merged;
  if (value.kind !== "sequence") {
    reader.report.error(value.at, "include: a list is expected");
    return merged;
  }
  for (const [index, item] of value.items.entries()) {
    if (!reader.mayInclude(item.at)) break;
    const where = formatPath(["include", index]);
    const inclusion = readInclusion({ node: item, place: where, report: reader.report });
    const found =
      inclusion === undefined
        ? undefined
        : await readIncluded({ ...request, inclusion, where, at: item.at });
    if (found !== undefined) merged = withResources(found, merged, reader);
  }
  return merged;
}

/** The included files as one document, whose paths begin where those of the including one do. */
async function readIncluded({
  reader,
  place,
  lookup,
  readFiles,
  inclusion,
  where,
  at,
}: Omit<Request, "document"> & {
  readonly inclusion: Inclusion;
  /** `include[0]` */
  readonly where: string;
  readonly at: Position;
}): Promise<MappingNode | undefined> {
  const paths = inclusion.paths.map((path) =>
    isRemote(path) ? undefined : repositoryPath(place.directory, path),
  );
  const [first] = paths;
  const project = inclusion.projectDirectory;
  const directory =
    project === undefined ? posix.dirname(first ?? ".") : repositoryPath(place.directory, project);
  const outside = inclusion.paths.find((_path, index) => paths[index] === undefined);
  if (outside !== undefined || directory === undefined) {
    reader.report.error(at, remoteMessage(where, outside ?? project ?? ""));
    return undefined;
  }
  const known = paths.flatMap((path) => path ?? []);
  const again = known.find((path) => place.trail.includes(path));
  if (again !== undefined || place.trail.length > nestingMax) {
    const trail = again === undefined ? place.trail : [...place.trail, again];
    const what =
      again === undefined ? `is nested more than ${nestingMax} deep` : "goes round in a circle";
    reader.report.error(at, `${where} ${what}: ${trail.join(" -> ")}`);
    return undefined;
  }
  const variables = await readVariables({ reader, place, lookup, inclusion, where, at, directory });
  const inner: Lookup = (name) => lookup(name) ?? variables.get(name);
  const document = await readFiles({
    reader,
    paths: known,
    place: { directory, trail: place.trail },
    lookup: inner,
    at,
  });
  if (document === undefined || directory === place.directory) return document;
  const moved = relocate(document, [], { from: directory, to: place.directory });
  return moved.kind === "mapping" ? moved : document;
}

/** Of the files that `env_file` names, else of the `.env` in the included directory, if there is one. */
async function readVariables({
  reader,
  place,
  lookup,
  inclusion,
  where,
  at,
  directory,
}: Omit<Request, "document" | "readFiles"> & {
  readonly inclusion: Inclusion;
  readonly where: string;
  readonly at: Position;
  readonly directory: string;
}): Promise<ReadonlyMap<string, string>> {
  const { report, files } = reader;
  let variables: ReadonlyMap<string, string> = new Map();
  const named = inclusion.envFiles;
  const wishes = named ?? [".env"];
  for (const wish of wishes.filter((path) => path !== "/dev/null")) {
    const base = named === undefined ? directory : place.directory;
    const found = await readAppFile({ ...files, directory: base }, wish, envFileBytesMax);
    if (found.kind === "found") {
      variables = parseDotenv({
        file: found.path,
        bytes: found.bytes,
        lookup,
        earlier: variables,
        budget: files.budget,
        report,
      });
    } else if (found.kind === "refused") report.error(at, `${where}.env_file: ${found.message}`);
    else if (named !== undefined)
      report.error(at, `${where}.env_file: there is no file ${found.path} in the repository`);
  }
  return variables;
}

function withResources(
  included: MappingNode,
  own: MappingNode,
  { report }: DocumentReader,
): MappingNode {
  const entries = new Map(own.entries);
  for (const key of resources) {
    const from = included.entries.get(key);
    const to = entries.get(key);
    if (from === undefined) continue;
    if (to === undefined || from.value.kind !== "mapping" || to.value.kind !== "mapping") {
      if (to === undefined) entries.set(key, from);
      continue;
    }
    const named = new Map<string, Entry>(to.value.entries);
    for (const [name, entry] of from.value.entries) {
      const known = named.get(name);
      if (known === undefined) named.set(name, entry);
      else if (!isSameNode(known.value, entry.value)) {
        const value = mergeNodes({
          base: entry.value,
          over: known.value,
          path: [key, name],
          report,
        });
        named.set(name, { ...known, value });
      }
    }
    entries.set(key, { ...to, value: { ...to.value, entries: named } });
  }
  return { ...own, entries };
}
