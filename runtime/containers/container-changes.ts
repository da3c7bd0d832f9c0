import { Program } from "../program/program.ts";
import type { FileChange } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { pathsOf } from "./container-context.ts";
import { requireImage } from "./create-container.ts";
import { openLayers } from "./open-layers.ts";

/** What a container, running or not, has changed of its image; sorted by path. Mounts are no part of it. */
export async function readChanges(
  context: ContainerContext,
  id: string,
): Promise<readonly FileChange[]> {
  const { spec } = context.inventory.require(id);
  const program = new Program();
  const lower = openLayers(program, requireImage(context, spec).layerDirs);
  const upper = program.slot();
  program
    .open(upper, null, openPathDirectory, pathsOf(context, id).upper)
    .treeChanges(upper, lower, { bytesMax, limitMs });
  const report = await context.launcher.run(program.finish());
  return withoutOurs(parseChanges(report));
}

const bytesMax = 64 * 1024 * 1024;
const limitMs = 60_000;
/** O_PATH | O_DIRECTORY of open(2). */
const openPathDirectory = 0o10_200_000;

function parseChanges(report: Buffer): readonly FileChange[] {
  const changes = report
    .toString("utf8")
    .split("\0")
    .filter((line) => line !== "")
    .map((line): FileChange => ({ kind: readKind(line), path: line.slice(1) }));
  return changes.toSorted((a, b) => (a.path < b.path ? -1 : a.path === b.path ? 0 : 1));
}

function readKind(line: string): FileChange["kind"] {
  const [letter] = line;
  if (letter === "A" || letter === "C" || letter === "D") return letter;
  throw new Error(`cannot read the changes of a container because one is of the kind ${letter}`);
}

/** Places that are made for what every container gets, where its image has none. */
const places = new Set([
  "/dev",
  "/proc",
  "/sys",
  "/etc/hosts",
  "/etc/hostname",
  "/etc/resolv.conf",
]);

/** And /etc where nothing else in it has changed: making those has copied it up. */
function withoutOurs(changes: readonly FileChange[]): readonly FileChange[] {
  const isOurs = ({ kind, path }: FileChange) => kind === "A" && places.has(path);
  const rest = changes.filter((change) => !isOurs(change));
  if (rest.length === changes.length || rest.some(({ path }) => path.startsWith("/etc/")))
    return rest;
  return rest.filter(({ path }) => path !== "/etc");
}
