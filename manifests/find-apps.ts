import type { Report } from "./diagnostics.ts";

/** A directory that holds a Compose file. */
export type AppSource = {
  /** Directory in the repository, `.` for its root. */
  readonly directory: string;
  /** Path of the Compose file. */
  readonly file: string;
  /** Path of the directory's `.env`; undefined when there is none. */
  readonly envFile?: string;
};

/** In Compose's order of precedence. */
const composeNames = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

const overrideName = /^(?:docker-)?compose\.override\.ya?ml$/;

/**
 * The apps of a commit, by directory. `root` is the directory to look below (`.` for all of it);
 * directories whose name begins with a dot are passed over.
 */
export function findApps({
  files,
  root,
  report,
}: {
  readonly files: readonly string[];
  readonly root: string;
  readonly report: Report;
}): readonly AppSource[] {
  const directories = new Map<string, Set<string>>();
  for (const file of files) {
    const slash = file.lastIndexOf("/");
    const directory = slash === -1 ? "." : file.slice(0, slash);
    const name = file.slice(slash + 1);
    if (name !== ".env" && !composeNames.includes(name) && !overrideName.test(name)) continue;
    if (!isVisibleBelow(directory, root)) continue;
    const names = directories.get(directory) ?? new Set();
    directories.set(directory, names.add(name));
  }
  const apps: AppSource[] = [];
  for (const [directory, names] of directories) {
    const app = appOf({ directory, names, report });
    if (app !== undefined) apps.push(app);
  }
  return apps.sort((a, b) => (a.directory < b.directory ? -1 : 1));
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
  for (const name of names) {
    if (!overrideName.test(name)) continue;
    report.error(
      { file: prefix + name, line: 1, column: 1 },
      `not supported yet: ${name}: merge it into ${chosen}`,
    );
  }
  const file = prefix + chosen;
  return names.has(".env") ? { directory, file, envFile: `${prefix}.env` } : { directory, file };
}
