import type { Entry, MappingNode, Node } from "../yaml/node.ts";

/** A mapping of plain values, all at one place. */
export function plainMapping(
  at: Node["at"],
  values: Readonly<Record<string, string | number | boolean | Node | undefined>>,
): MappingNode {
  const entries = new Map<string, Entry>();
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined) continue;
    const node: Node =
      typeof value === "object" ? value : { kind: "scalar", value, text: String(value), at };
    entries.set(key, { key, keyAt: at, value: node });
  }
  return { kind: "mapping", entries, at };
}
