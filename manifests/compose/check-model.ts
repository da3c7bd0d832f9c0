import type { z } from "zod";
import type { Report } from "../diagnostics.ts";
import { describeNode, formatPath, locate, type Node, nodeAt, type Path } from "../yaml/node.ts";

/**
 * Checks plain values by a schema and reports every issue where the value stands in the file:
 * `path` is where `values` came from below `root`. Fields that are wrong are left out of the
 * model, so that the others can be checked further; undefined when nothing can be made of the
 * rest.
 */
export function checkModel<Model>({
  schema,
  values,
  root,
  path,
  report,
}: {
  readonly schema: z.ZodType<Model>;
  readonly values: unknown;
  readonly root: Node;
  readonly path: Path;
  readonly report: Report;
}): Model | undefined {
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const wrongFields = new Set<string>();
  for (const issue of result.error.issues) {
    const issuePath = [...path, ...issue.path.map(pathStep)];
    const node = nodeAt(root, issuePath);
    if (node?.kind !== "scalar" || node.broken !== true)
      report.error(locate(root, issuePath), message(issue, issuePath, node));
    wrongFields.add(String(issue.path[0]));
  }
  if (typeof values !== "object" || values === null) return undefined;
  const rest = Object.entries(values).filter(([key]) => !wrongFields.has(key));
  const again = schema.safeParse(Object.fromEntries(rest));
  return again.success ? again.data : undefined;
}

function pathStep(step: PropertyKey): string | number {
  return typeof step === "number" ? step : String(step);
}

function message(issue: z.core.$ZodIssue, path: Path, node: Node | undefined): string {
  const place = formatPath(path);
  if (node === undefined)
    return `${formatPath(path.slice(0, -1))}: ${String(path.at(-1))} is missing`;
  if (issue.code === "invalid_type") {
    if (issue.expected === "number" && node.kind === "scalar" && typeof node.value === "number")
      return `${place}: ${node.text} is not a finite number`;
    const expected = expectedWords.get(issue.expected) ?? `a ${issue.expected}`;
    const quotes =
      issue.expected === "string" && node.kind === "scalar" && node.value !== null
        ? ": write it in quotes"
        : "";
    return `${place}: ${expected} is expected, not ${describeNode(node)}${quotes}`;
  }
  const unsupported = issue.code === "custom" && issue.params?.unsupported === true;
  return `${unsupported ? "not supported yet: " : ""}${place}: ${issue.message}`;
}

const expectedWords = new Map([
  ["array", "a list"],
  ["object", "a mapping"],
  ["record", "a mapping"],
]);
