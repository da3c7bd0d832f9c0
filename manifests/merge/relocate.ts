import { posix } from "node:path";
import type { Entry, Node, Path } from "../yaml/node.ts";
import { patternTable } from "./path-pattern.ts";

export type Move = { readonly from: string; readonly to: string };

/**
 * A part of a document whose relative paths begin at `from` as it reads from `to`: both are directories in the
 * repository. `path` is where the part stands in its document, which is in long form.
 */
export function relocate(node: Node, path: Path, move: Move): Node {
  if (path.length > depthMax) return node;
  if (isPath(path) === true) return movedText(node, move);
  if (node.kind === "sequence")
    return { ...node, items: node.items.map((item) => relocate(item, [...path, 0], move)) };
  if (node.kind !== "mapping") return node;
  if (isMount(path) === true && textOf(node, "type") !== "bind") return node;
  const entries = new Map<string, Entry>();
  for (const [key, entry] of node.entries)
    entries.set(key, { ...entry, value: relocate(entry.value, [...path, key], move) });
  return { ...node, entries };
}

const depthMax = 6;

const isPath = patternTable<boolean>([
  ["services.*.build.context", true],
  ["services.*.develop.watch.*.path", true],
  ["services.*.env_file.*.path", true],
  ["services.*.label_file.*", true],
  ["services.*.volumes.*.source", true],
  ["configs.*.file", true],
  ["secrets.*.file", true],
]);

const isMount = patternTable<boolean>([["services.*.volumes.*", true]]);

function movedText(node: Node, { from, to }: Move): Node {
  if (node.kind !== "scalar" || typeof node.value !== "string" || node.broken === true) return node;
  if (/^(?:\/|~|[a-z][a-z0-9+.-]*:|git@)/i.test(node.text) || node.text === "") return node;
  // What leads out of the repository stays so, and is refused later.
  const relative = posix.relative(to, posix.join(from, node.text));
  const text = relative.startsWith("..") ? relative : `./${relative}`;
  return { ...node, value: text, text };
}

function textOf(node: Node, key: string): string | undefined {
  const value = node.kind === "mapping" ? node.entries.get(key)?.value : undefined;
  return value?.kind === "scalar" ? value.text : undefined;
}
