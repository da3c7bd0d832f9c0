import type { Node } from "../yaml/node.ts";

/** True when two values say the same, wherever they stand; keys of mappings in any order. */
export function isSameNode(a: Node, b: Node): boolean {
  if (a === b) return true;
  if (a.kind === "scalar") return b.kind === "scalar" && Object.is(a.value, b.value);
  if (a.kind === "sequence")
    return (
      b.kind === "sequence" &&
      a.items.length === b.items.length &&
      a.items.every((item, index) => {
        const other = b.items[index];
        return other !== undefined && isSameNode(item, other);
      })
    );
  return (
    b.kind === "mapping" &&
    a.entries.size === b.entries.size &&
    [...a.entries].every(([key, { value }]) => {
      const other = b.entries.get(key);
      return other !== undefined && isSameNode(value, other.value);
    })
  );
}
