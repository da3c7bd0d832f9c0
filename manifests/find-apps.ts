import type { Report } from "./diagnostics.ts";

/** A directory that holds a Compose file, and what `berth.yaml` says of it for one host. */
export type AppSource = {
  /** Directory in the repository, `.` for its root. */
  readonly directory: string;
  /** Paths of the Compose files; later ones are merged over earlier ones. Never empty. */
  readonly files: readonly string[];
  /** Path of the directory's `.env`; undefined when there is none. */
  readonly envFile?: string;
  /** Goes before the name in the file and that of the directory. */
  readonly name?: string;
  readonly profiles?: readonly string[];
  /** Go before those of `.env`. */
  readonly variables?: Pick<ReadonlyMap<string, string>, "get">;
  /** Names of apps of this host that come first. */
  readonly after?: readonly string[];
};

/** In Compose's order of precedence. */
const composeNames = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/** Merged over the file beside them; in Compose's order of precedence. */
const overrideNames = [
  "compose.override.yml",
  "compose.override.yaml",
  "docker-compose.override.yml",
  "docker-compose.override.yaml",
];

/** Directory -> the names in it that are of interest here. */
export type ComposeDirectories = ReadonlyMap<string, ReadonlySet<string>>;

/** Where the Compose files of a commit lie, and what stands beside them. */
export function composeDirectories(files: Iterable<string>): ComposeDirectories {
  const directories = new Map<string, Set<string>>();
  for (const file of files) {
    const slash = file.lastIndexOf("/");
    const directory = slash === -1 ? "." : file.slice(0, slash);
    const name = file.slice(slash + 1);
    if (![".env", ...composeNames, ...overrideNames].includes(name)) continue;
    const names = directories.get(directory) ?? new Set();
    directories.set(directory, names.add(name));
  }
  return directories;
}

/**
 * The apps of a commit, by directory. `root` is the directory to look below (`.` for all of it);
 * directories whose name begins with a dot are passed over.
 */
export function findApps({
  directories,
  root,
  report,
}: {
  readonly directories: ComposeDirectories;
  readonly root: string;
  readonly report: Report;
}): readonly AppSource[] {
  return [...directories.keys()]
    .filter((directory) => isVisibleBelow(directory, root))
    .sort()
    .flatMap((directory) => appSource({ directory, directories, report }) ?? []);
}

/** The app of one directory, wherever it lies; undefined when no Compose file is in it. */
export function appSource({
  directory,
  directories,
  report,
}: {
  readonly directory: string;
  readonly directories: ComposeDirectories;
  readonly report: Report;
}): AppSource | undefined {
  const names = directories.get(directory);
  return names === undefined ? undefined : appOf({ directory, names, report });
}

/** `./apps/` -> `apps`; the empty path and `/` mean the repository's root, `.`. */
export function normalizeRoot(path: string): string {
  const steps = path.split("/").filter((step) => step !== "" && step !== ".");
  return steps.length === 0 ? "." : steps.join("/");
}

function isVisibleBelow(directory: string, root: string): boolean {
  if (root !== "." && directory !== root && !directory.startsWith(`${root}/`)) return false;
  if (directory === root) return true;
  const below = root === "." ? directory : directory.slice(root.length + 1);
  return !below.split("/").some((step) => step.startsWith("."));
}

function appOf({
  directory,
  names,
  report,
}: {
  readonly directory: string;
  readonly names: ReadonlySet<string>;
  readonly report: Report;
}): AppSource | undefined {
  const prefix = directory === "." ? "" : `${directory}/`;
  const [chosen, ...others] = composeNames.filter((name) => names.has(name));
  if (chosen === undefined) return undefined;
  for (const other of others) {
    report.warn(
      { file: prefix + other, line: 1, column: 1 },
      `passed over, because ${prefix}${chosen} comes first: keep one of them`,
    );
  }
  const [override, ...passed] = overrideNames.filter((name) => names.has(name));
  for (const other of passed) {
    report.warn(
      { file: prefix + other, line: 1, column: 1 },
      `passed over, because ${prefix}${override} comes first: keep one of them`,
    );
  }
  const files = [chosen, ...(override === undefined ? [] : [override])];
  const found = { directory, files: files.map((name) => prefix + name) };
  return names.has(".env") ? { ...found, envFile: `${prefix}.env` } : found;
}
