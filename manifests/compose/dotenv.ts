import { isUtf8 } from "node:buffer";
import type { Report } from "../diagnostics.ts";
import type { Position } from "../yaml/node.ts";
import { type Budget, mayExpand } from "./budget.ts";
import { expandTemplate, type Lookup } from "./template.ts";

/** Bytes that one `.env` file may have. */
export const envFileBytesMax = 1024 * 1024;

/**
 * Reads a `.env` file as Compose does: `KEY=value`, `KEY: value`, `export`, comments, single quotes
 * literal, double quotes with escapes, values over several lines in quotes, variables of earlier
 * lines. `lookup` comes before those, and gives a key without a value its own; without it such a key has none,
 * because the agent's own environment is never read. `earlier` are the variables of earlier files.
 */
export function parseDotenv({
  file,
  bytes,
  lookup = () => undefined,
  earlier,
  budget,
  report,
}: {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly lookup?: Lookup;
  readonly earlier?: ReadonlyMap<string, string>;
  readonly budget: Budget;
  readonly report: Report;
}): ReadonlyMap<string, string> {
  const variables = new Map<string, string>(earlier);
  if (!isUtf8(bytes)) {
    report.error({ file, line: 1, column: 1 }, "the file is not UTF-8 text");
    return variables;
  }
  const source = new TextDecoder().decode(bytes).replaceAll("\r\n", "\n");
  const cursor = new Cursor(file, source);
  for (cursor.skipBlank(); !cursor.atEnd(); cursor.skipBlank()) {
    const at = cursor.position();
    const problem = readStatement(cursor, { variables, lookup, budget, report });
    if (problem === undefined) continue;
    report.error(at, problem);
    cursor.take(/[^\n]*/y);
  }
  return variables;
}

class Cursor {
  private offset = 0;
  private line = 1;
  private lineStart = 0;
  private readonly file: string;
  private readonly source: string;

  constructor(file: string, source: string) {
    this.file = file;
    this.source = source;
  }

  atEnd(): boolean {
    return this.offset >= this.source.length;
  }

  position(): Position {
    return { file: this.file, line: this.line, column: this.offset - this.lineStart + 1 };
  }

  /** What the sticky pattern matches here, and past it; undefined when it does not match. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.offset;
    const found = pattern.exec(this.source)?.[0];
    if (found === undefined) return undefined;
    for (let at = found.indexOf("\n"); at !== -1; at = found.indexOf("\n", at + 1)) {
      this.line += 1;
      this.lineStart = this.offset + at + 1;
    }
    this.offset += found.length;
    return found;
  }

  /** White space and whole-line comments. */
  skipBlank(): void {
    this.take(/(?:\s+|#[^\n]*)*/y);
  }
}

type Variables = {
  readonly variables: Map<string, string>;
  readonly lookup: Lookup;
  readonly budget: Budget;
  readonly report: Report;
};

/** Returns what is wrong, if anything. */
function readStatement(cursor: Cursor, into: Variables): string | undefined {
  const { variables, lookup } = into;
  cursor.take(/export[^\S\n]+/y);
  const key = cursor.take(/[\p{L}\p{N}_.\-[\]]+/uy);
  if (key === undefined) return "a variable's name is expected: letters, digits, _ . - [ ]";
  cursor.take(/[^\S\n]*/y);
  if (cursor.take(/[=:][^\S\n]*/y) === undefined) {
    const value = lookup(key);
    if (!cursor.atEnd() && cursor.take(/\n/y) === undefined) return `"=" is expected after ${key}`;
    if (value !== undefined) variables.set(key, value);
    return undefined;
  }
  const at = cursor.position();
  const quote = cursor.take(/["']/y);
  if (quote === undefined) {
    const text = (cursor.take(/[^\n]*/y) ?? "").replace(/ #.*$/, "").trimEnd();
    variables.set(key, expand({ text, at, ...into }));
    return undefined;
  }
  const body = cursor.take(quote === "'" ? singleQuoted : doubleQuoted) ?? "";
  if (cursor.take(/["']/y) !== quote) return `the value of ${key} has no closing ${quote}`;
  if (quote === "'") variables.set(key, body.replaceAll("\\'", "'"));
  else variables.set(key, expand({ text: unescapeDouble(body), at, ...into }));
  if (cursor.take(/[^\S\n]*(?:#[^\n]*)?(?=\n|$)/y) === undefined)
    return `nothing but a comment may follow the closing ${quote} of ${key}`;
  return undefined;
}

const singleQuoted = /[^'\\]*(?:\\[\s\S][^'\\]*)*/y;
const doubleQuoted = /[^"\\]*(?:\\[\s\S][^"\\]*)*/y;

const escapes = new Map([
  ["a", "\u0007"],
  ["b", "\b"],
  ["c", "\\c"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
  ['"', '"'],
  ["\\", "\\"],
  ["$", "$$"],
]);

/** `\$` becomes `$$`, which the expansion after it turns into a literal dollar sign. */
function unescapeDouble(body: string): string {
  return body.replaceAll(/\\(?:0([0-7]{1,3})|([\s\S]))/g, (all, octal?: string, letter?: string) =>
    octal === undefined
      ? (escapes.get(letter ?? "") ?? all)
      : String.fromCharCode(Number.parseInt(octal, 8) & 0xff),
  );
}

function expand({
  text,
  at,
  variables,
  lookup,
  budget,
  report,
}: Variables & { readonly text: string; readonly at: Position }): string {
  const expanded = expandTemplate({
    text,
    lookup: (name) => lookup(name) ?? variables.get(name),
    onError: (_offset, message) => report.error(at, message),
    onUnset: (name) => report.warn(at, `the variable ${name} is not set: it stands for nothing`),
  });
  if (expanded === undefined || expanded === text) return expanded ?? "";
  return mayExpand({ budget, report, at, length: expanded.length }) ? expanded : "";
}
