import { type Budget, mayPublish } from "../compose/budget.ts";
import { parsePort, parseRange } from "../compose/port-grammar.ts";
import type { Report } from "../diagnostics.ts";
import type { Node, ScalarNode } from "../yaml/node.ts";
import { plainMapping } from "./plain-mapping.ts";

/** What bounds the ports, and whom to tell. */
export type PortLimits = { readonly budget: Budget; readonly report: Report };

/** `[[IP:]HOST:]CONTAINER[/PROTOCOL]` of a service's ports as one mapping for each port that it stands for. */
export function longPorts(node: Node, limits: PortLimits): Node {
  if (node.kind !== "sequence") return node;
  return { ...node, items: node.items.flatMap((item) => longPort(item, limits)) };
}

const portsOfEntryMax = 4096;

function longPort(node: Node, limits: PortLimits): readonly Node[] {
  if (node.kind !== "scalar" || node.broken === true) return [node];
  if (typeof node.value !== "string" && typeof node.value !== "number") return [node];
  return expand(node, limits) ?? [node];
}

function expand(node: ScalarNode, limits: PortLimits): readonly Node[] | undefined {
  const request = parsePort(node.text);
  const target = parseRange(request?.target ?? "");
  if (request === undefined || target === undefined) return undefined;
  const published = parseRange(request.published);
  const count = target.last - target.first + 1;
  const publishedCount = published === undefined ? 0 : published.last - published.first + 1;
  if (request.published !== "" && published === undefined) return undefined;
  if (count > portsOfEntryMax || (count > 1 && publishedCount > 0 && publishedCount !== count))
    return undefined;
  if (!mayPublish({ ...limits, at: node.at, count })) return [];
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
