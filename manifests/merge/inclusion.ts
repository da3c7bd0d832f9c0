import type { Report } from "../diagnostics.ts";
import { describeNode, type Node } from "../yaml/node.ts";

/** One element of `include`. */
export type Inclusion = {
  /** Later ones are merged over the first. */
  readonly paths: readonly string[];
  readonly projectDirectory?: string;
  /** Undefined: not written. */
  readonly envFiles?: readonly string[];
};

/** `PATH`, or `{path, project_directory, env_file}`; undefined after a mistake, which is reported. */
export function readInclusion({
  node,
  place,
  report,
}: {
  readonly node: Node;
  readonly place: string;
  readonly report: Report;
}): Inclusion | undefined {
  if (node.kind === "scalar" && typeof node.value === "string") return { paths: [node.text] };
  if (node.kind !== "mapping") {
    report.error(node.at, `${place}: a string or a mapping is expected, not ${describeNode(node)}`);
    return undefined;
  }
  for (const [key, { keyAt }] of node.entries) {
    if (known.has(key) || key.startsWith("x-")) continue;
    report.error(keyAt, `${place}.${key}: Compose knows no such key`);
  }
  const [paths, projects, envFiles] = ["path", "project_directory", "env_file"].map((key) => {
    const value = node.entries.get(key)?.value;
    if (value === undefined) return undefined;
    const texts = textsOf(value);
    if (texts === undefined)
      report.error(value.at, `${place}.${key}: a path or a list of paths is expected`);
    return texts ?? [];
  });
  if (paths === undefined) report.error(node.at, `${place}: path is missing`);
  if (paths === undefined || paths.length === 0) return undefined;
  const [projectDirectory] = projects ?? [];
  return {
    paths,
    ...(projectDirectory === undefined ? {} : { projectDirectory }),
    ...(envFiles === undefined ? {} : { envFiles }),
  };
}

const known = new Set(["path", "project_directory", "env_file"]);

function textsOf(node: Node): readonly string[] | undefined {
  const items = node.kind === "sequence" ? node.items : [node];
  const texts = items.flatMap((item) =>
    item.kind === "scalar" && typeof item.value === "string" ? [item.text] : [],
  );
  return texts.length === items.length && texts.length > 0 ? texts : undefined;
}
