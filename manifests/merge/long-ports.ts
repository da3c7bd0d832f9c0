import { parsePort, parseRange } from "../compose/port-grammar.ts";
import type { Node, ScalarNode } from "../yaml/node.ts";
import { plainMapping } from "./plain-mapping.ts";

/** `[[IP:]HOST:]CONTAINER[/PROTOCOL]` of a service's ports as one mapping for each port that it stands for. */
export function longPorts(node: Node): Node {
  if (node.kind !== "sequence") return node;
  return { ...node, items: node.items.flatMap((item) => longPort(item)) };
}

const portsOfEntryMax = 4096;

function longPort(node: Node): readonly Node[] {
  if (node.kind !== "scalar" || node.broken === true) return [node];
  if (typeof node.value !== "string" && typeof node.value !== "number") return [node];
  return expand(node) ?? [node];
}

function expand(node: ScalarNode): readonly Node[] | undefined {
  const request = parsePort(node.text);
  const target = parseRange(request?.target ?? "");
  if (request === undefined || target === undefined) return undefined;
  const published = parseRange(request.published);
  const count = target.last - target.first + 1;
  const publishedCount = published === undefined ? 0 : published.last - published.first + 1;
  if (request.published !== "" && published === undefined) return undefined;
  if (count > portsOfEntryMax || (count > 1 && publishedCount > 0 && publishedCount !== count))
    return undefined;
  return Array.from({ length: count }, (_, index) =>
    plainMapping(node.at, {
      mode: "ingress",
      host_ip: request.hostIp === "" ? undefined : request.hostIp,
      target: target.first + index,
      published:
        published === undefined
          ? undefined
          : publishedCount === count
            ? String(published.first + index)
            : request.published,
      protocol: request.protocol.toLowerCase(),
    }),
  );
}
