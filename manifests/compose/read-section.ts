import type { Report } from "../diagnostics.ts";
import { suggestion } from "../nearest-name.ts";
import { formatPath, type MappingNode, type Node, type Path } from "../yaml/node.ts";
import { extensionKey, type KeyRule, type Section } from "./section.ts";

/**
 * Turns a mapping into plain values for the schemas, without the keys that are refused, unknown
 * (both reported at the key) or extensions of others (`x-…`). Objects have no prototype, so that no key
 * means anything.
 */
export function readSection({
  node,
  section,
  path,
  report,
}: {
  readonly node: MappingNode;
  readonly section: Section;
  readonly path: Path;
  readonly report: Report;
}): Record<string, unknown> {
  const values: Record<string, unknown> = Object.create(null);
  let unknownKeys = 0;
  for (const [key, entry] of node.entries) {
    const rule = section.accepted.get(key);
    if (rule === undefined && key.startsWith("x-")) continue;
    const keyPath = [...path, key];
    if (rule !== undefined) {
      values[key] = readValue({ node: entry.value, rule, path: keyPath, report });
      continue;
    }
    const advice = section.refused.get(key) ?? section.others;
    if (advice !== undefined) {
      const remedy = advice === "" ? "remove it" : advice;
      report.error(entry.keyAt, `not supported by berth: ${formatPath(keyPath)}: ${remedy}`);
      continue;
    }
    unknownKeys += 1;
    const known = [...section.accepted.keys(), ...section.refused.keys()];
    const advised = unknownKeys <= suggestionsMax ? suggestion(key, known) : "";
    const reader = path.includes(extensionKey) ? "berth" : "Compose";
    report.error(entry.keyAt, `${formatPath(keyPath)}: ${reader} knows no such key${advised}`);
  }
  return values;
}

/** A section full of unknown keys is no typing slip. */
const suggestionsMax = 50;

function readValue({
  node,
  rule,
  path,
  report,
}: {
  readonly node: Node;
  readonly rule: KeyRule;
  readonly path: Path;
  readonly report: Report;
}): unknown {
  if (rule === "value") return plainValue(node);
  if (rule === "texts") return readTexts(node);
  if ("one" in rule) {
    if (node.kind !== "mapping") return plainValue(node);
    return readSection({ node, section: rule.one, path, report });
  }
  if ("listOf" in rule) {
    if (node.kind !== "sequence") return plainValue(node);
    return node.items.map((item, index) =>
      readValue({ node: item, rule: { one: rule.listOf }, path: [...path, index], report }),
    );
  }
  if (node.kind !== "mapping") return plainValue(node);
  const values: Record<string, unknown> = Object.create(null);
  for (const [key, entry] of node.entries) {
    const next = { rule: { one: rule.mapOf }, path: [...path, key], report };
    values[key] = readValue({ node: entry.value, ...next });
  }
  return values;
}

/** The elements of a list must be strings, so only a mapping's values are turned into text. */
function readTexts(node: Node): unknown {
  if (node.kind !== "mapping") return plainValue(node);
  const values: Record<string, unknown> = Object.create(null);
  for (const [key, { value }] of node.entries)
    values[key] = value.kind === "scalar" && value.value !== null ? value.text : plainValue(value);
  return values;
}

function plainValue(node: Node): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "sequence") return node.items.map(plainValue);
  const values: Record<string, unknown> = Object.create(null);
  for (const [key, entry] of node.entries) values[key] = plainValue(entry.value);
  return values;
}
