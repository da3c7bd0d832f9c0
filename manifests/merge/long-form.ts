import type { Entry, Node, ScalarNode } from "../yaml/node.ts";
import { longMount } from "./long-mounts.ts";
import { longPorts, type PortLimits } from "./long-ports.ts";
import { type PatternTree, patternTree } from "./path-pattern.ts";
import { plainMapping } from "./plain-mapping.ts";

/**
 * A document with every short form written out, so that documents can be merged and compared. What is not written as
 * Compose wants it stays as it is: it is reported later, where it stands. More ports than the budget has left are reported,
 * and left out.
 */
export function longForm(root: Node, limits: PortLimits): Node {
  return rewrite(root, rewrites, limits);
}

type Rewrite = (node: Node, limits: PortLimits) => Node;

/** Goes where a short form may stand, and leaves the rest untouched. */
function rewrite(node: Node, at: PatternTree<Rewrite>, limits: PortLimits): Node {
  const own = at.value?.(node, limits) ?? node;
  const result = own.mark === node.mark ? own : { ...own, ...(node.mark && { mark: node.mark }) };
  if (result.kind === "mapping") {
    let entries: Map<string, Entry> | undefined;
    for (const [key, entry] of result.entries) {
      const inner = at.step(key);
      const value = inner === undefined ? entry.value : rewrite(entry.value, inner, limits);
      if (value === entry.value) continue;
      entries ??= new Map(result.entries);
      entries.set(key, { ...entry, value });
    }
    return entries === undefined ? result : { ...result, entries };
  }
  const inner = at.step(0);
  if (result.kind !== "sequence" || inner === undefined) return result;
  const items = result.items.map((item) => rewrite(item, inner, limits));
  return { ...result, items };
}

/** `[A=1, B]` -> `{A: "1", B: null}`; the last one of a name counts. */
const pairs: Rewrite = (node) => {
  const texts = textsOf(node);
  if (texts === undefined) return node;
  const entries = new Map<string, Entry>();
  for (const item of texts) {
    const equals = item.text.indexOf("=");
    const key = equals === -1 ? item.text : item.text.slice(0, equals);
    const value = equals === -1 ? null : item.text.slice(equals + 1);
    const { at } = item;
    entries.set(key, { key, keyAt: at, value: { kind: "scalar", value, text: value ?? "", at } });
  }
  return { kind: "mapping", entries, at: node.at };
};

/** A list without the empty texts that unset variables leave. */
const writtenList = (node: Node): Node => {
  const all = list(node);
  if (all.kind !== "sequence") return all;
  const items = all.items.filter((item) => item.kind !== "scalar" || item.value !== "");
  return items.length === all.items.length ? all : { ...all, items };
};

/** `[a, b]` -> `{a: VALUE, b: VALUE}` */
const names =
  (value: (item: ScalarNode) => Node): Rewrite =>
  (node) => {
    const texts = textsOf(node);
    if (texts === undefined) return node;
    const entries = new Map<string, Entry>();
    for (const item of texts)
      entries.set(item.text, { key: item.text, keyAt: item.at, value: value(item) });
    return { kind: "mapping", entries, at: node.at };
  };

const nothing = names(({ at }) => ({ kind: "scalar", value: null, text: "", at }));

const started = names(({ at }) =>
  plainMapping(at, { condition: "service_started", required: true }),
);

const list = (node: Node): Node =>
  isText(node) ? { kind: "sequence", items: [node], at: node.at } : node;

/** `x` -> `{KEY: x}` */
const under =
  (key: string) =>
  (node: Node): Node =>
    isText(node)
      ? {
          kind: "mapping",
          entries: new Map([[key, { key, keyAt: node.at, value: node }]]),
          at: node.at,
        }
      : node;

/** `{NAME: ADDRESS}` -> `[NAME=ADDRESS]` */
const hosts: Rewrite = (node) => {
  if (node.kind !== "mapping") return node;
  const items: Node[] = [];
  for (const [key, { value, keyAt }] of node.entries) {
    const addresses = value.kind === "sequence" ? value.items : [value];
    for (const address of addresses) {
      if (!isText(address)) return node;
      const text = `${key}=${address.text}`;
      items.push({ kind: "scalar", value: text, text, at: keyAt });
    }
  }
  return { kind: "sequence", items, at: node.at };
};

const envFiles: Rewrite = (node) => {
  const files = list(node);
  if (files.kind !== "sequence") return files;
  return { ...files, items: files.items.map(under("path")) };
};

/** `SOURCE[:TARGET[:PERMISSIONS]]` */
const device: Rewrite = (node) => {
  const [source = "", target, permissions, ...rest] = isText(node) ? node.text.split(":") : [];
  if (!source.startsWith("/") || rest.length > 0) return node;
  const fields = { source, target: target ?? source, permissions: permissions ?? "rwm" };
  return plainMapping(node.at, fields);
};

const sources: Rewrite = (node) =>
  node.kind === "sequence" ? { ...node, items: node.items.map(under("source")) } : node;

const rewrites = patternTree<Rewrite>([
  ["services.*.annotations", pairs],
  ["services.*.build", under("context")],
  ["services.*.build.additional_contexts", pairs],
  ["services.*.build.args", pairs],
  ["services.*.build.extra_hosts", hosts],
  ["services.*.build.labels", pairs],
  ["services.*.build.secrets", sources],
  ["services.*.configs", sources],
  ["services.*.depends_on", started],
  ["services.*.deploy.labels", pairs],
  ["services.*.devices.*", device],
  ["services.*.dns", writtenList],
  ["services.*.dns_search", list],
  ["services.*.env_file", envFiles],
  ["services.*.environment", pairs],
  ["services.*.extends", under("service")],
  ["services.*.extra_hosts", hosts],
  ["services.*.label_file", list],
  ["services.*.labels", pairs],
  ["services.*.networks", nothing],
  ["services.*.ports", longPorts],
  ["services.*.secrets", sources],
  ["services.*.sysctls", pairs],
  ["services.*.tmpfs", list],
  ["services.*.volumes.*", longMount],
  ["configs.*.labels", pairs],
  ["networks.*.labels", pairs],
  ["secrets.*.labels", pairs],
  ["volumes.*.labels", pairs],
]);

/** The elements of a list of texts; undefined for everything else. */
function textsOf(node: Node): readonly ScalarNode[] | undefined {
  if (node.kind !== "sequence" || !node.items.every(isText)) return undefined;
  return node.items.filter(isText);
}

function isText(node: Node): node is ScalarNode {
  return (
    node.kind === "scalar" &&
    node.broken !== true &&
    node.mark === undefined &&
    typeof node.value === "string"
  );
}
