import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseAllDocuments,
  Scalar,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { resolvePlainScalar } from "../yaml/scalar.ts";
import type { SopsDocument, SopsLeaf } from "./sops-document.ts";
import { floatText } from "./sops-json.ts";
import type { SopsScalar } from "./sops-value.ts";

const nodesMax = 100_000;
const depthMax = 64;

/** YAML as SOPS reads it: one or more documents of mappings; the metadata stands in the first. */
export function readSopsYaml(text: string): SopsDocument {
  const documents = parseAllDocuments(text, {
    schema: "core",
    resolveKnownTags: false,
    logLevel: "silent",
  });
  if (!Array.isArray(documents) || documents.some(({ errors }) => errors.length > 0))
    throw new Error("it is not valid YAML");
  const all = documents as Document[]; // the parsed type says more of comments than is needed here
  const leaves: SopsLeaf[] = [];
  for (const document of all) {
    const { contents } = document;
    if (!isMap(contents)) throw new Error("a document in it is not a mapping, which SOPS needs");
    new Collector(leaves).mapping(contents, [], 0);
  }
  return { metadata: metadataOf(all[0]), leaves, write: (values) => write(all, values) };
}

function metadataOf(document: Document | undefined): unknown {
  if (document === undefined) return undefined;
  const node = document.get("sops", true) as Node | undefined;
  return node === undefined ? undefined : node.toJS(document, { maxAliasCount: 0 });
}

class Collector {
  readonly #leaves: SopsLeaf[];
  #nodes = 0;

  constructor(leaves: SopsLeaf[]) {
    this.#leaves = leaves;
  }

  mapping(node: YAMLMap, path: readonly string[], depth: number): void {
    for (const pair of node.items) {
      const key = isScalar(pair.key) ? pair.key : undefined;
      if (typeof key?.value !== "string")
        throw new Error("it has a key that is not text, which SOPS does not know");
      if (depth === 0 && key.value === "sops") continue;
      this.#value(pair.value as Node | null, [...path, key.value], depth + 1);
    }
  }

  #value(node: Node | null, path: readonly string[], depth: number, list?: YAMLSeq): void {
    this.#nodes += 1;
    if (this.#nodes > nodesMax || depth > depthMax)
      throw new Error(`it has more than ${nodesMax} values or ${depthMax} levels`);
    if (isAlias(node)) throw new Error("it has an alias: write the value out");
    if (isMap(node)) this.mapping(node, path, depth);
    if (isSeq(node))
      for (const item of node.items) this.#value(item as Node | null, path, depth + 1, node);
    if (!isScalar(node)) return;
    const scalar = scalarOf(node);
    if (scalar === undefined) return;
    const set = (value: SopsScalar) => {
      // Encrypted, a comment in a list stands as an element of it.
      if (value.type === "comment" && list !== undefined)
        list.items.splice(list.items.indexOf(node), 1);
      else put(node, value);
    };
    this.#leaves.push({ path, scalar, isComment: false, set });
  }
}

/** Undefined for null, which SOPS neither encrypts nor hashes. */
function scalarOf(node: Scalar): SopsScalar | undefined {
  const source = node.source ?? String(node.value ?? "");
  if (node.type !== Scalar.PLAIN) return { type: "str", text: String(node.value) };
  const { value, text } = resolvePlainScalar(source);
  if (value === null) return undefined;
  if (typeof value === "boolean") return { type: "bool", text: value ? "True" : "False" };
  if (typeof value === "number") {
    if (/^[-+]?\d+$/.test(text)) return { type: "int", text };
    return { type: "float", text: Number.isFinite(value) ? floatText(value) : text };
  }
  const day = /^\d{4}-\d\d-\d\d$/.test(source);
  return day ? { type: "time", text: `${source}T00:00:00Z` } : { type: "str", text: source };
}

/** Text that would read as something else gets quotes. */
function put(node: Scalar, { type, text }: SopsScalar): void {
  delete node.source;
  delete node.tag;
  node.type = Scalar.PLAIN;
  node.value = text;
  if (type === "bool") node.value = text === "True";
  // A double would lose digits of a long number.
  if (type === "int") node.value = BigInt(text);
  if (type === "float") node.value = Number(text);
  if (type !== "str" && type !== "comment") return;
  if (text.includes("\n")) node.type = Scalar.BLOCK_LITERAL;
  else if (typeof resolvePlainScalar(text).value !== "string" || readsOtherwise.test(text))
    node.type = Scalar.QUOTE_DOUBLE;
}

/** Text that other readers of YAML take for a flag, a date or a number of base 60. */
const readsOtherwise = /^(?:y|n|yes|no|on|off|\d{4}-\d\d-\d\d.*|[-+]?\d+(?::\d+)+)$/i;

function write(
  documents: readonly Document[],
  values: Readonly<Record<string, unknown>> | undefined,
): string {
  for (const document of documents) {
    document.delete("sops");
    if (values === undefined) continue;
    dropComments(document);
    const node = document.createNode(values);
    const time = isMap(node) ? node.get("lastmodified", true) : undefined;
    // Without quotes other readers take it for a time, which SOPS refuses.
    if (isScalar(time)) time.type = Scalar.QUOTE_DOUBLE;
    document.set("sops", node);
  }
  return documents.map((document) => document.toString({ lineWidth: 0 })).join("---\n");
}

/** They would stay readable in a file that says of itself that it is encrypted. */
function dropComments(document: Document): void {
  document.commentBefore = null;
  document.comment = null;
  visit(document, {
    Node(_key, node) {
      node.commentBefore = null;
      node.comment = null;
    },
  });
}
