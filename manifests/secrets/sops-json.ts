import type { SopsDocument, SopsLeaf } from "./sops-document.ts";
import type { SopsScalar } from "./sops-value.ts";

type JsonNode =
  | { readonly kind: "object"; readonly entries: [string, JsonNode][] }
  | { readonly kind: "array"; readonly items: JsonNode[] }
  | { readonly kind: "scalar"; scalar: SopsScalar }
  | { readonly kind: "null" };

/** JSON in the order of the file, which the MAC depends on: `JSON.parse` sorts keys that look like numbers. */
export function readSopsJson(text: string): SopsDocument {
  const root = new JsonReader(text).document();
  const metadata = root.entries.find(([key]) => key === "sops")?.[1];
  const entries = root.entries.filter(([key]) => key !== "sops");
  const leaves: SopsLeaf[] = [];
  for (const [key, value] of entries) collect(leaves, [key], value);
  return {
    metadata: metadata === undefined ? undefined : plain(metadata),
    leaves,
    write: (values) => {
      const all =
        values === undefined ? entries : [...entries, ["sops", fromPlain(values)] as const];
      return `${writeNode({ kind: "object", entries: all.map(([key, node]) => [key, node]) }, "")}\n`;
    },
  };
}

const depthMax = 64;

class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Extract<JsonNode, { kind: "object" }> {
    const node = this.#value(0);
    this.#take(/[ \t\r\n]*/y);
    if (node.kind !== "object" || this.#at < this.#text.length) throw notJson();
    return node;
  }

  #value(depth: number): JsonNode {
    if (depth > depthMax) throw new Error(`it is nested more than ${depthMax} levels deep`);
    this.#take(/[ \t\r\n]*/y);
    if (this.#take(/\{/y) !== undefined) return this.#object(depth);
    if (this.#take(/\[/y) !== undefined) return this.#array(depth);
    const text = this.#string();
    if (text !== undefined) return { kind: "scalar", scalar: { type: "str", text } };
    const word = this.#take(/true|false|null/y);
    if (word === "null") return { kind: "null" };
    if (word !== undefined)
      return { kind: "scalar", scalar: { type: "bool", text: word === "true" ? "True" : "False" } };
    const number = this.#take(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y);
    if (number === undefined) throw notJson();
    return { kind: "scalar", scalar: numberScalar(number) };
  }

  #object(depth: number): JsonNode {
    const entries: [string, JsonNode][] = [];
    for (;;) {
      this.#take(/[ \t\r\n]*/y);
      if (entries.length === 0 && this.#take(/\}/y) !== undefined) break;
      const key = this.#string();
      if (key === undefined || this.#take(/[ \t\r\n]*:/y) === undefined) throw notJson();
      entries.push([key, this.#value(depth + 1)]);
      const next = this.#take(/[ \t\r\n]*[,}]/y);
      if (next === undefined) throw notJson();
      if (next.endsWith("}")) break;
    }
    return { kind: "object", entries };
  }

  #array(depth: number): JsonNode {
    const items: JsonNode[] = [];
    if (this.#take(/[ \t\r\n]*\]/y) !== undefined) return { kind: "array", items };
    for (;;) {
      items.push(this.#value(depth + 1));
      const next = this.#take(/[ \t\r\n]*[,\]]/y);
      if (next === undefined) throw notJson();
      if (next.endsWith("]")) return { kind: "array", items };
    }
  }

  #string(): string | undefined {
    const written = this.#take(/"[^"\\]*(?:\\.[^"\\]*)*"/y);
    if (written === undefined) return undefined;
    try {
      return String(JSON.parse(written));
    } catch {
      throw notJson();
    }
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }
}

function notJson(): Error {
  return new Error("it is not valid JSON with an object at its top");
}

/** As Go prints them: integers exactly, other numbers without an exponent. */
function numberScalar(written: string): SopsScalar {
  if (/^-?\d{1,18}$/.test(written)) return { type: "int", text: BigInt(written).toString() };
  return { type: "float", text: floatText(Number(written)) };
}

/** `strconv.FormatFloat(value, 'f', -1, 64)`: the shortest digits that stand for the number, never an exponent. */
export function floatText(value: number): string {
  const [digits = "", exponent = "0"] = String(value).split("e");
  const shift = Number(exponent);
  if (shift === 0) return Object.is(value, -0) ? "-0" : digits;
  const sign = digits.startsWith("-") ? "-" : "";
  const [whole = "", part = ""] = digits.replace("-", "").split(".");
  if (shift > 0) return sign + whole + part.padEnd(shift, "0");
  return `${sign}0.${"0".repeat(-shift - 1)}${whole}${part}`;
}

function collect(leaves: SopsLeaf[], path: readonly string[], node: JsonNode): void {
  if (node.kind === "object")
    for (const [key, value] of node.entries) collect(leaves, [...path, key], value);
  if (node.kind === "array") for (const item of node.items) collect(leaves, path, item);
  if (node.kind !== "scalar") return;
  const { scalar } = node;
  const set = (value: SopsScalar) => {
    node.scalar = value;
  };
  leaves.push({ path, scalar, isComment: false, set });
}

function plain(node: JsonNode): unknown {
  if (node.kind === "null") return null;
  if (node.kind === "array") return node.items.map(plain);
  if (node.kind === "object")
    return Object.fromEntries(node.entries.map(([key, value]) => [key, plain(value)]));
  const { type, text } = node.scalar;
  if (type === "bool") return text === "True";
  return type === "int" || type === "float" ? Number(text) : text;
}

function fromPlain(value: unknown): JsonNode {
  if (Array.isArray(value)) return { kind: "array", items: value.map(fromPlain) };
  if (typeof value === "object" && value !== null)
    return {
      kind: "object",
      entries: Object.entries(value).map(([key, item]) => [key, fromPlain(item)]),
    };
  if (typeof value === "boolean")
    return { kind: "scalar", scalar: { type: "bool", text: value ? "True" : "False" } };
  return { kind: "scalar", scalar: { type: "str", text: String(value) } };
}

/** Tabs, as SOPS writes it. */
function writeNode(node: JsonNode, indent: string): string {
  const inner = `${indent}\t`;
  if (node.kind === "null") return "null";
  if (node.kind === "object") {
    const lines = node.entries.map(
      ([key, value]) => `${inner}${JSON.stringify(key)}: ${writeNode(value, inner)}`,
    );
    return lines.length === 0 ? "{}" : `{\n${lines.join(",\n")}\n${indent}}`;
  }
  if (node.kind === "array") {
    const lines = node.items.map((item) => inner + writeNode(item, inner));
    return lines.length === 0 ? "[]" : `[\n${lines.join(",\n")}\n${indent}]`;
  }
  const { type, text } = node.scalar;
  if (type === "bool") return text === "True" ? "true" : "false";
  return type === "int" || type === "float" ? text : JSON.stringify(text);
}
