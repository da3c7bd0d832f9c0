import { splitCommand } from "../compose/command.ts";
import { parseDurationMs, parseSize } from "../compose/values.ts";
import type { Node } from "../yaml/node.ts";

/** A JSON value; undefined: left out. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/**
 * How a value of the long form is printed. What a Go field of that type leaves out when it is zero is left out here;
 * `kept` fields are pointers there, and print zeros.
 */
export type Kind = (node: Node) => Json | undefined;

export const text: Kind = (node) =>
  node.kind === "scalar" && node.text !== "" ? node.text : undefined;

export const flag: Kind = (node) => (keptFlag(node) === true ? true : undefined);

export const keptFlag: Kind = (node) =>
  node.kind === "scalar" && node.value !== null
    ? /^(?:true|yes|y|on)$/i.test(node.text)
    : undefined;

/** Left out where it is true. */
export const optOut: Kind = (node) => (keptFlag(node) === false ? false : undefined);

export const keptNumber: Kind = (node) =>
  node.kind === "scalar" && node.value !== null && node.text !== "" ? Number(node.text) : undefined;

export const number: Kind = (node) => keptNumber(node) || undefined;

export const bytes: Kind = (node) => {
  if (node.kind !== "scalar") return undefined;
  const size = /^-?[0-9]+$/.test(node.text) ? Number(node.text) : parseSize(node.text);
  return size === undefined || size === 0 ? undefined : String(size);
};

export const keptDuration: Kind = (node) => {
  if (node.kind !== "scalar" || node.value === null) return undefined;
  const ms = parseDurationMs(node.text);
  return ms === undefined ? node.text : goDuration(ms);
};

export const duration: Kind = (node) => {
  const printed = keptDuration(node);
  return printed === "0s" ? undefined : printed;
};

/** Octal, as Go prints a mode: `0440`. */
export const mode: Kind = (node) => {
  if (node.kind !== "scalar" || node.value === null) return undefined;
  const value = typeof node.value === "number" ? node.value : Number.parseInt(node.text, 8);
  return `0${value.toString(8)}`;
};

/** A list of texts; one text stands for a list of it. */
export const texts: Kind = (node) => {
  const items = node.kind === "sequence" ? node.items : [node];
  const printed = items.flatMap((item) =>
    item.kind === "scalar" && item.value !== null ? [item.text] : [],
  );
  return printed.length === 0 ? undefined : printed;
};

/** `NAME=ADDRESS`, sorted. */
export const extraHosts: Kind = (node) => {
  const printed = texts(node);
  if (!Array.isArray(printed)) return undefined;
  return printed
    .flatMap((entry) => {
      const text = String(entry);
      const [, name, addresses = ""] = /^([^=:]*)[=:](.*)$/s.exec(text) ?? [];
      const bare = addresses.split(",").map((each) => each.replace(/^\[(.*)\]$/, "$1"));
      return name === undefined ? [text] : bare.map((address) => `${name}=${address}`);
    })
    .toSorted();
};

/** null where nothing is written. */
export const command: Kind = (node) => {
  if (node.kind === "sequence")
    return node.items.map((item) => (item.kind === "scalar" ? item.text : ""));
  if (node.kind !== "scalar" || node.value === null) return null;
  const words = splitCommand(node.text);
  return typeof words === "string" ? [node.text] : words;
};

/** A mapping of texts: a key without a value prints the empty one. */
export const labels: Kind = (node) => pairs(node, "");

/** A mapping of texts: a key without a value prints null. */
export const variables: Kind = (node) => pairs(node, null);

export function struct(fields: Readonly<Record<string, Kind>>): Kind {
  return (node) => {
    if (node.kind !== "mapping") return undefined;
    const printed: Record<string, Json> = {};
    for (const key of Object.keys(fields).sort()) {
      const value = node.entries.get(key)?.value;
      const json = value === undefined ? undefined : fields[key]?.(value);
      if (json !== undefined) printed[key] = json;
    }
    return printed;
  };
}

/** As `struct`, with what is printed where a field is not written. */
export function structWith(
  fields: Readonly<Record<string, Kind>>,
  always: Readonly<Record<string, Json>>,
): Kind {
  const print = struct(fields);
  return (node) => {
    const printed = print(node);
    return isObject(printed) ? { ...always, ...printed } : printed;
  };
}

export function listOf(kind: Kind): Kind {
  return (node) => {
    const items = node.kind === "sequence" ? node.items.flatMap((item) => kind(item) ?? []) : [];
    return items.length === 0 ? undefined : items;
  };
}

/** A mapping with free keys; null where nothing is said of one. */
export function mapOf(kind: Kind): Kind {
  return (node) => {
    if (node.kind !== "mapping" || node.entries.size === 0) return undefined;
    const printed: Record<string, Json> = Object.create(null);
    for (const [key, { value }] of node.entries) printed[key] = kind(value) ?? null;
    return printed;
  };
}

/** What an extension says, as it stands. */
export const plain: Kind = (node) => {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "sequence") return node.items.map((item) => plain(item) ?? null);
  const printed: Record<string, Json> = Object.create(null);
  for (const [key, { value }] of node.entries) printed[key] = plain(value) ?? null;
  return printed;
};

export function isObject(json: Json | undefined): json is { readonly [key: string]: Json } {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function pairs(node: Node, empty: Json): Json | undefined {
  if (node.kind !== "mapping" || node.entries.size === 0) return undefined;
  const printed: Record<string, Json> = Object.create(null);
  for (const [key, { value }] of node.entries)
    printed[key] = value.kind === "scalar" && value.value !== null ? value.text : empty;
  return printed;
}

/** `1h0m0s`, `1m30s`, `1.5s`, `500ms`: as Go's time.Duration prints itself. */
function goDuration(ms: number): string {
  if (ms === 0) return "0s";
  if (ms < 1000) return `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = `${Number(((ms % 60_000) / 1000).toFixed(3))}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
