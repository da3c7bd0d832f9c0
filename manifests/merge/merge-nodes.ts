import type { Report } from "../diagnostics.ts";
import {
  describeNode,
  type Entry,
  formatPath,
  type MappingNode,
  type Node,
  type Path,
} from "../yaml/node.ts";
import { mergeRule } from "./merge-rules.ts";
import { isSameNode } from "./same-node.ts";
import { uniqueKey } from "./unique-keys.ts";

type Merge = {
  readonly base: Node;
  readonly over: Node;
  readonly path: Path;
  readonly report: Report;
};

/**
 * `over` merged over `base`, both in long form: mappings key by key, lists one after the other without doubles, the
 * rest replaced; and what Compose says of single keys (Compose Specification, "Merge"). Marks of `over` are carried
 * out on `base` and stay in the result, for what it is merged over itself. A mapping over a list, and the like, is
 * reported.
 */
export function mergeNodes({ base, over, path, report }: Merge): Node {
  if (over.mark !== undefined) return over;
  const rule = mergeRule(path);
  if (rule === "replace") return over;
  if (isNull(over)) return rule === "texts" ? over : base;
  if (isNull(base)) return over;
  if (rule === "limit" && (base.kind !== "mapping" || over.kind !== "mapping")) return over;
  if (rule === "logging" && driverOf(base) !== undefined && driverOf(over) !== undefined) {
    if (driverOf(base) !== driverOf(over)) return over;
  }
  if (base.kind === "mapping" && over.kind === "mapping")
    return mergeMappings({ base, over, path, report });
  if (base.kind === "sequence" && over.kind === "sequence")
    return { ...over, items: mergeLists(base.items, over.items, path, report) };
  if (base.kind === "scalar" && over.kind === "scalar") return over;
  report.error(
    over.at,
    `${formatPath(path)}: ${describeNode(over)} cannot be merged over ${describeNode(base)} ` +
      `(${base.at.file}:${base.at.line}:${base.at.column}): write both in one form, or use !override`,
  );
  return over;
}

/** Without what `!reset` takes away and without the marks themselves. */
export function withoutMarks(node: Node): Node {
  if (node.kind === "scalar") {
    if (node.mark === undefined) return node;
    const { mark: _mark, ...plain } = node;
    return plain;
  }
  if (node.kind === "sequence") {
    const items = node.items.filter(({ mark }) => mark !== "reset").map(withoutMarks);
    const isSame =
      items.length === node.items.length &&
      items.every((item, index) => item === node.items[index]);
    return isSame && node.mark === undefined ? node : { kind: "sequence", items, at: node.at };
  }
  let isSame = node.mark === undefined;
  const entries = new Map<string, Entry>();
  for (const [key, entry] of node.entries) {
    const value = withoutMarks(entry.value);
    const isReset = entry.value.mark === "reset";
    isSame &&= value === entry.value && !isReset;
    if (!isReset) entries.set(key, value === entry.value ? entry : { ...entry, value });
  }
  return isSame ? node : { kind: "mapping", entries, at: node.at };
}

function mergeMappings({
  base,
  over,
  path,
  report,
}: Merge & { readonly base: MappingNode; readonly over: MappingNode }): Node {
  const entries = new Map(base.entries);
  for (const [key, entry] of over.entries) {
    const known = entries.get(key);
    const keyPath = [...path, key];
    const value =
      known === undefined
        ? entry.value
        : mergeNodes({ base: known.value, over: entry.value, path: keyPath, report });
    entries.set(key, { ...entry, value });
  }
  return { ...over, entries };
}

/** Who says the same thing of the same port, target or name anew stands in the place of the earlier one. */
function mergeLists(
  base: readonly Node[],
  over: readonly Node[],
  path: Path,
  report: Report,
): readonly Node[] {
  const merged = [...base];
  for (const item of over) {
    const key = uniqueKey(path, item);
    const index = merged.findIndex((known) =>
      key === undefined ? isSameNode(known, item) : uniqueKey(path, known) === key,
    );
    const known = merged[index];
    if (known === undefined) merged.push(item);
    else if (mergeRule(path) === "pools")
      merged[index] = mergeNodes({ base: known, over: item, path: [...path, index], report });
    else if (!isSameNode(known, item)) merged[index] = item;
  }
  return merged;
}

function isNull(node: Node): boolean {
  return node.kind === "scalar" && node.value === null;
}

function driverOf(node: Node): string | undefined {
  const driver = node.kind === "mapping" ? node.entries.get("driver")?.value : undefined;
  return driver?.kind === "scalar" ? driver.text : undefined;
}
