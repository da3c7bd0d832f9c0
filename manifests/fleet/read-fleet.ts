import type { z } from "zod";
import type { FileReader } from "../desired-state.ts";
import type { Report } from "../diagnostics.ts";
import { suggestion } from "../nearest-name.ts";
import {
  describeNode,
  formatPath,
  locate,
  locateKey,
  type MappingNode,
  type Node,
  nodeAt,
} from "../yaml/node.ts";
import { parseYaml, yamlBytesMax } from "../yaml/parse-yaml.ts";
import { FleetModel, isTextMapping } from "./fleet-model.ts";

export const fleetFile = "berth.yaml";

/** A checked `berth.yaml` with its document, for positions. */
export type Fleet = { readonly model: FleetModel; readonly root: MappingNode };

/** Undefined when it cannot be read or has a mistake, which is reported then. Rejects only when the reader fails. */
export async function readFleet({
  reader,
  report,
}: {
  readonly reader: FileReader;
  readonly report: Report;
}): Promise<Fleet | undefined> {
  const bytes = await reader.read(fleetFile, yamlBytesMax);
  const at = { file: fleetFile, line: 1, column: 1 };
  if (bytes === undefined) {
    report.error(at, "the file is listed but cannot be read");
    return undefined;
  }
  if (new TextDecoder().decode(bytes).trim() === "") {
    report.error(at, "the file is empty: a mapping with apps is expected");
    return undefined;
  }
  const root = parseYaml({ file: fleetFile, bytes, report });
  if (root === undefined) return undefined;
  if (root.kind !== "mapping") {
    report.error(root.at, `a mapping with apps is expected, not ${describeNode(root)}`);
    return undefined;
  }
  const result = FleetModel.safeParse(plainValue(root));
  if (result.success) return { model: result.data, root };
  for (const issue of result.error.issues) reportIssue({ issue, root, report });
  return undefined;
}

/** Objects have no prototype, so that no key means anything; `x-…` is passed over. */
function plainValue(node: Node): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "sequence") return node.items.map(plainValue);
  const values: Record<string, unknown> = Object.create(null);
  for (const [key, { value }] of node.entries) {
    if (key.startsWith("x-")) continue;
    const hasTexts = isTextMapping(key) && value.kind === "mapping";
    values[key] = hasTexts ? plainTexts(value) : plainValue(value);
  }
  return values;
}

/** A mapping with free keys, whose scalars keep what was written. */
function plainTexts(node: MappingNode): unknown {
  const values: Record<string, unknown> = Object.create(null);
  for (const [key, { value }] of node.entries) {
    const isText = value.kind === "scalar" && value.value !== null;
    values[key] = isText ? value.text : plainValue(value);
  }
  return values;
}

function reportIssue({
  issue,
  root,
  report,
}: {
  readonly issue: z.core.$ZodIssue;
  readonly root: Node;
  readonly report: Report;
}): void {
  const path = issue.path.map((step) => (typeof step === "number" ? step : String(step)));
  if (issue.code === "unrecognized_keys") {
    for (const key of issue.keys) {
      const full = [...path, key];
      const message = `${formatPath(full)}: berth.yaml knows no such key${suggestion(key, knownKeys)}`;
      report.error(locateKey(root, full), message);
    }
    return;
  }
  const node = nodeAt(root, path);
  if (node === undefined) {
    const message = `${formatPath(path)} is missing`;
    report.error(locate(root, path), message);
    return;
  }
  const place = path.length === 0 ? "" : `${formatPath(path)}: `;
  if (issue.code === "invalid_type" || issue.code === "invalid_union") {
    const expected = issue.code === "invalid_type" ? words.get(issue.expected) : undefined;
    const message = `${place}${expected ?? "another kind of value"} is expected, not ${describeNode(node)}`;
    report.error(node.at, message);
    return;
  }
  report.error(locateKey(root, path), `${place}${issue.message}`);
}

const words = new Map([
  ["string", "text"],
  ["array", "a list"],
  ["object", "a mapping"],
  ["number", "a number"],
]);

const knownKeys = [
  "after",
  "apps",
  "atomic",
  "byHost",
  "byLabel",
  "defaults",
  "environment",
  "files",
  "hosts",
  "labels",
  "path",
  "profiles",
  "recipient",
  "recipients",
  "rollout",
  "secrets",
  "variables",
];
