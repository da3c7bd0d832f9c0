/** A parsed document whose every value still knows where it was written. */

/** Line and column count from 1; columns are UTF-16 units, as editors count. */
export type Position = { readonly file: string; readonly line: number; readonly column: number };

export type ScalarValue = string | number | boolean | null;

/** What a value does to the one that it is merged over: takes it away (`!reset`), or stands for all of it. */
export type Mark = "reset" | "override";

export type ScalarNode = {
  readonly kind: "scalar";
  readonly value: ScalarValue;
  /** What Compose prints for the value where it wants text: `1.10` is `1.1`, `0755` is `493`. */
  readonly text: string;
  readonly at: Position;
  /**
   * Columns between `at` and the first character of `text`, when the text stands verbatim on
   * one line.
   */
  readonly textColumn?: number;
  /**
   * True: its variables could not be filled in, which was reported; nothing else is to be said
   * of it.
   */
  readonly broken?: true;
  readonly mark?: Mark;
};

export type SequenceNode = {
  readonly kind: "sequence";
  readonly items: readonly Node[];
  readonly at: Position;
  readonly mark?: Mark;
};

export type Entry = { readonly key: string; readonly keyAt: Position; readonly value: Node };

export type MappingNode = {
  readonly kind: "mapping";
  readonly entries: ReadonlyMap<string, Entry>;
  readonly at: Position;
  readonly mark?: Mark;
};

export type Node = ScalarNode | SequenceNode | MappingNode;

export type Path = readonly (string | number)[];

/** `services.web.ports[0]` */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** Where the value at `path` stands, or the nearest thing above it that exists. */
export function locate(root: Node, path: Path): Position {
  let node = root;
  for (const step of path) {
    const next = child(node, step);
    if (next === undefined) return node.at;
    node = next;
  }
  return node.at;
}

/** Where the key at the end of `path` stands; for an element of a list, where that element does. */
export function locateKey(root: Node, path: Path): Position {
  const parent = nodeAt(root, path.slice(0, -1));
  const last = path.at(-1);
  if (parent?.kind === "mapping" && typeof last === "string") {
    const entry = parent.entries.get(last);
    if (entry !== undefined) return entry.keyAt;
  }
  return locate(root, path);
}

/** Where `name` stands in a list of names, or as a key of a mapping, at `path`. */
export function locateName(root: Node, path: Path, name: string): Position {
  const node = nodeAt(root, path);
  if (node?.kind === "sequence") {
    const item = node.items.find((each) => each.kind === "scalar" && each.value === name);
    if (item !== undefined) return item.at;
  }
  return locateKey(root, [...path, name]);
}

export function nodeAt(root: Node, path: Path): Node | undefined {
  let node: Node | undefined = root;
  for (const step of path) {
    if (node === undefined) return undefined;
    node = child(node, step);
  }
  return node;
}

/** `a mapping`, `null`, `a number`: the words that errors use. */
export function describeNode(node: Node): string {
  if (node.kind === "mapping") return "a mapping";
  if (node.kind === "sequence") return "a list";
  if (node.value === null) return "null";
  return `a ${typeof node.value}`;
}

function child(node: Node, step: string | number): Node | undefined {
  if (node.kind === "mapping") return node.entries.get(String(step))?.value;
  if (node.kind === "sequence" && typeof step === "number") return node.items[step];
  return undefined;
}
