import type { Node, Path } from "../yaml/node.ts";
import { patternTable } from "./path-pattern.ts";

type KeyOf = (node: Node) => string | undefined;

/** What an element of a list is known by: a later layer's element with the same key replaces it. */
export function uniqueKey(path: Path, node: Node): string | undefined {
  return keyOf(path)?.(node);
}

const name: KeyOf = (node) => (node.kind === "scalar" ? node.text.split("=", 1)[0] : undefined);

const field =
  (key: string): KeyOf =>
  (node) =>
    node.kind === "scalar" ? node.text : textOf(node, key);

const mount =
  (directory: string): KeyOf =>
  (node) =>
    node.kind === "scalar"
      ? `${directory}/${node.text}`
      : (textOf(node, "target") ?? `${directory}/${textOf(node, "source") ?? ""}`);

const port: KeyOf = (node) => {
  if (node.kind !== "mapping") return node.kind === "scalar" ? node.text : undefined;
  const [target = "", published = "", host = "0.0.0.0", protocol = "tcp"] = [
    "target",
    "published",
    "host_ip",
    "protocol",
  ].map((key) => textOf(node, key));
  return `${host === "" ? "0.0.0.0" : host}:${published}:${target}/${protocol}`;
};

const keyOf: (path: Path) => KeyOf | undefined = patternTable<KeyOf>([
  ["networks.*.ipam.config", field("subnet")],
  ["services.*.build.tags", name],
  ["services.*.cap_add", name],
  ["services.*.cap_drop", name],
  ["services.*.configs", mount("")],
  ["services.*.devices", field("target")],
  ["services.*.dns", name],
  ["services.*.dns_opt", name],
  ["services.*.dns_search", name],
  ["services.*.env_file", field("path")],
  ["services.*.expose", name],
  ["services.*.links", name],
  ["services.*.networks.*.aliases", name],
  ["services.*.networks.*.link_local_ips", name],
  ["services.*.ports", port],
  ["services.*.profiles", name],
  ["services.*.secrets", mount("/run/secrets")],
  ["services.*.tmpfs", name],
  ["services.*.volumes", field("target")],
]);

function textOf(node: Node, key: string): string | undefined {
  const value = node.kind === "mapping" ? node.entries.get(key)?.value : undefined;
  return value?.kind === "scalar" ? value.text : undefined;
}
