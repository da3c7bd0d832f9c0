import type { Report } from "../diagnostics.ts";
import type { Entry, Node, Position, ScalarNode } from "../yaml/node.ts";
import { type Budget, mayExpand } from "./budget.ts";
import { expandTemplate, type Lookup } from "./template.ts";

/**
 * Replaces the variables in every string value (never in a key). Values keep their positions,
 * and a node that several aliases share is expanded once and stays shared. Unset variables are
 * warned of once each.
 */
export function interpolate({
  root,
  lookup,
  budget,
  report,
}: {
  readonly root: Node;
  readonly lookup: Lookup;
  readonly budget: Budget;
  readonly report: Report;
}): Node {
  const done = new Map<Node, Node>();
  const warned = new Set<string>();

  function expandNode(node: Node): Node {
    const known = done.get(node);
    if (known !== undefined) return known;
    const expanded = node.kind === "scalar" ? expandScalar(node) : expandCollection(node);
    done.set(node, expanded);
    return expanded;
  }

  function expandCollection(node: Exclude<Node, ScalarNode>): Node {
    if (node.kind === "sequence") {
      const items = node.items.map(expandNode);
      const isSame = items.every((item, index) => item === node.items[index]);
      return isSame ? node : { ...node, items };
    }
    let entries: Map<string, Entry> | undefined;
    for (const [key, entry] of node.entries) {
      const value = expandNode(entry.value);
      if (value === entry.value) continue;
      entries ??= new Map(node.entries);
      entries.set(key, { ...entry, value });
    }
    return entries === undefined ? node : { ...node, entries };
  }

  function expandScalar(node: ScalarNode): ScalarNode {
    if (typeof node.value !== "string" || !node.value.includes("$")) return node;
    const value = expandTemplate({
      text: node.value,
      lookup,
      onError: (offset, message) => report.error(positionIn(node, offset), message),
      onUnset: (name, offset) => {
        if (warned.has(name)) return;
        warned.add(name);
        const message = `the variable ${name} is not set: it stands for nothing`;
        report.warn(positionIn(node, offset), message);
      },
    });
    if (value === undefined || !mayExpand({ budget, report, at: node.at, length: value.length })) {
      return { ...node, broken: true };
    }
    return { kind: "scalar", value, text: value, at: node.at };
  }

  return expandNode(root);
}

function positionIn(node: ScalarNode, offset: number): Position {
  if (node.textColumn === undefined) return node.at;
  return { ...node.at, column: node.at.column + node.textColumn + offset };
}
