import { isAlias, isMap, isScalar, isSeq, type ParsedNode, type Scalar, type YAMLMap } from "yaml";
import {
  describeNode,
  type Entry,
  type Mark,
  type Node,
  type Position,
  type ScalarNode,
} from "./node.ts";
import { resolvePlainScalar } from "./scalar.ts";

/** What is wrong with a document, and where in its text. */
export class YamlProblem extends Error {
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.name = "YamlProblem";
    this.offset = offset;
  }
}

/**
 * Turns the library's tree into ours: scalars by Compose's rules, aliases and `<<` merge keys
 * resolved, keys unique strings. Aliased nodes are shared, not copied. Throws YamlProblem.
 */
export function buildNode({
  root,
  source,
  positionAt,
}: {
  readonly root: ParsedNode;
  readonly source: string;
  readonly positionAt: (offset: number) => Position;
}): Node {
  return new Builder(source, positionAt).build(root);
}

const depthMax = 100;
const nodesMax = 250_000;
const aliasesMax = 10_000;

/** Of what an anchor names: its nodes with aliases written out, and the levels that they go down. */
type Anchored = { readonly node: Node; readonly nodes: number; readonly levels: number };

class Builder {
  private readonly anchors = new Map<string, Anchored>();
  private aliases = 0;
  /** Nodes so far, with aliases written out. */
  private nodes = 0;
  /** Level of the node that is being built, and the deepest below it, with aliases written out. */
  private level = 0;
  private deepest = 0;
  private readonly source: string;
  private readonly positionAt: (offset: number) => Position;

  constructor(source: string, positionAt: (offset: number) => Position) {
    this.source = source;
    this.positionAt = positionAt;
  }

  build(node: ParsedNode): Node {
    if (isAlias(node)) return this.resolveAlias(node.source, node.range[0]);
    const nodesBefore = this.nodes;
    const deepestBefore = this.deepest;
    this.level += 1;
    this.deepest = this.level;
    const mark = marks.get(node.tag ?? "");
    const own = this.buildOwn(node);
    const built = mark === undefined ? own : { ...own, mark };
    this.count(1, node.range[0]);
    this.level -= 1;
    const levels = this.deepest - this.level;
    this.deepest = Math.max(deepestBefore, this.deepest);
    if (node.anchor !== undefined) {
      this.anchors.set(node.anchor, { node: built, nodes: this.nodes - nodesBefore, levels });
    }
    return built;
  }

  private buildOwn(node: ParsedNode): Node {
    if (isScalar(node)) return this.buildScalar(node);
    const at = this.positionAt(node.range[0]);
    if (isMap(node)) {
      checkTag(node, "tag:yaml.org,2002:map");
      return { kind: "mapping", entries: this.buildEntries(node), at };
    }
    if (isSeq(node)) {
      checkTag(node, "tag:yaml.org,2002:seq");
      return { kind: "sequence", items: node.items.map((item) => this.build(item)), at };
    }
    throw new YamlProblem(0, "a node of a kind that YAML does not have");
  }

  private buildScalar(node: Scalar.Parsed): ScalarNode {
    const text = String(node.value ?? "");
    const offset = node.range[0];
    const at = this.positionAt(offset);
    const nul = text.indexOf("\u0000");
    if (nul !== -1) throw new YamlProblem(offset, "holds a NUL character, which no value may have");
    const resolved =
      node.type === "PLAIN" && node.tag !== stringTag && node.tag !== "!"
        ? resolvePlainScalar(text)
        : { value: text, text };
    checkScalarTag(node, resolved.value);
    const quotes = node.type === "PLAIN" ? 0 : 1;
    const verbatim = this.source.startsWith(text, offset + quotes) && !text.includes("\n");
    return verbatim
      ? { kind: "scalar", ...resolved, at, textColumn: quotes }
      : { kind: "scalar", ...resolved, at };
  }

  private buildEntries(map: YAMLMap.Parsed): ReadonlyMap<string, Entry> {
    const entries = new Map<string, Entry>();
    const merged: Entry[] = [];
    for (const pair of map.items) {
      const key = pair.key;
      const offset = key?.range[0] ?? map.range[0];
      if (!isScalar(key)) throw new YamlProblem(offset, "a key must be a string");
      const name = this.buildScalar(key);
      const value = this.buildValue(pair.value, name.at);
      if (key.anchor !== undefined) {
        this.anchors.set(key.anchor, { node: name, nodes: 1, levels: 1 });
      }
      if (key.type === "PLAIN" && name.text === "<<") {
        merged.push(...mergedEntries(value, offset));
        continue;
      }
      if (typeof name.value !== "string") {
        const problem = `a key must be a string, not ${describeNode(name)}: write it in quotes`;
        throw new YamlProblem(offset, problem);
      }
      if (entries.has(name.value))
        throw new YamlProblem(offset, `the key ${JSON.stringify(name.value)} is there twice`);
      entries.set(name.value, { key: name.value, keyAt: name.at, value });
    }
    for (const entry of merged) if (!entries.has(entry.key)) entries.set(entry.key, entry);
    return entries;
  }

  /** A value that is not written stands where its key does. */
  private buildValue(value: ParsedNode | null, keyAt: Position): Node {
    const written =
      value !== null &&
      (value.range[0] < value.range[1] || value.tag !== undefined || isAnchored(value));
    return written ? this.build(value) : { kind: "scalar", value: null, text: "", at: keyAt };
  }

  private resolveAlias(name: string, offset: number): Node {
    this.aliases += 1;
    if (this.aliases > aliasesMax) throw new YamlProblem(offset, `more than ${aliasesMax} aliases`);
    const known = this.anchors.get(name);
    if (known === undefined)
      throw new YamlProblem(offset, `the alias *${name} has no complete anchor &${name} before it`);
    this.count(known.nodes, offset);
    this.deepest = Math.max(this.deepest, this.level + known.levels);
    if (this.deepest > depthMax)
      throw new YamlProblem(offset, `nested more than ${depthMax} levels deep`);
    return known.node;
  }

  private count(nodes: number, offset: number): void {
    this.nodes += nodes;
    if (this.nodes > nodesMax)
      throw new YamlProblem(offset, `more than ${nodesMax} values with all aliases written out`);
  }
}

function isAnchored(node: ParsedNode): boolean {
  return !isAlias(node) && node.anchor !== undefined;
}

/** Tags by which Compose steers the merging of files. */
const marks = new Map<string, Mark>([
  ["!reset", "reset"],
  ["!override", "override"],
]);

const stringTag = "tag:yaml.org,2002:str";

const tagOfKind: Readonly<Record<string, readonly string[]>> = {
  string: [stringTag, "!"],
  boolean: ["tag:yaml.org,2002:bool"],
  number: ["tag:yaml.org,2002:int", "tag:yaml.org,2002:float"],
  object: ["tag:yaml.org,2002:null"],
};

function checkScalarTag(node: Scalar.Parsed, value: unknown): void {
  if (node.tag === undefined || marks.has(node.tag)) return;
  if (tagOfKind[typeof value]?.includes(node.tag)) return;
  const known = Object.values(tagOfKind).some((tags) => tags.includes(node.tag ?? ""));
  if (known) throw new YamlProblem(node.range[0], `the value does not fit its tag ${node.tag}`);
  throw unknownTag(node.tag, node.range[0]);
}

function checkTag(node: ParsedNode, expected: string): void {
  if (node.tag === undefined || node.tag === expected || node.tag === "!") return;
  if (marks.has(node.tag)) return;
  throw unknownTag(node.tag, node.range[0]);
}

function unknownTag(tag: string, offset: number): YamlProblem {
  return new YamlProblem(offset, `the tag ${tag} is unknown: leave it out`);
}

/** Of several mappings the first one wins (YAML merge key type, yaml.org/type/merge). */
function mergedEntries(value: Node, offset: number): readonly Entry[] {
  const sources = value.kind === "sequence" ? value.items : [value];
  const entries: Entry[] = [];
  for (const source of sources) {
    if (source.kind !== "mapping")
      throw new YamlProblem(offset, `<< merges mappings, not ${describeNode(source)}`);
    entries.push(...source.entries.values());
  }
  return entries;
}
