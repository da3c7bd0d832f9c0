import { isUtf8 } from "node:buffer";
import { Composer, type Document, Lexer, LineCounter, type ParsedNode, Parser } from "yaml";
import type { Report } from "../diagnostics.ts";
import { buildNode, YamlProblem } from "./build-node.ts";
import type { Node, Position } from "./node.ts";

/** Bytes that one YAML file may have. */
export const yamlBytesMax = 1024 * 1024;

/**
 * Parses one YAML 1.2 document. Reports what is wrong and returns undefined then. Never throws:
 * the input is bounded in bytes, depth, documents, aliases and in the nodes that the aliases
 * stand for.
 */
export function parseYaml({
  file,
  bytes,
  report,
}: {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly report: Report;
}): Node | undefined {
  const source = decode({ file, bytes, report });
  if (source === undefined) return undefined;
  const lines = new LineCounter();
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  try {
    const document = onlyDocument(composeDocuments(source, lines));
    const [first, ...more] = document.errors;
    if (first !== undefined) {
      for (const error of [first, ...more.slice(0, errorsMax - 1)])
        report.error(positionAt(error.pos[0]), `not valid YAML: ${error.message}`);
      return undefined;
    }
    if (document.contents === null) throw new YamlProblem(0, emptyMessage);
    return buildNode({ root: document.contents, source, positionAt });
  } catch (error) {
    if (error instanceof YamlProblem) {
      report.error(positionAt(error.offset), error.message);
      return undefined;
    }
    // The library is fed with hostile text: whatever it throws says that it cannot read it.
    const reason = error instanceof Error ? error.message : String(error);
    report.error({ file, line: 1, column: 1 }, `not valid YAML: ${reason}`);
    return undefined;
  }
}

const tokenDepthMax = 100;
const documentsMax = 16;
const errorsMax = 20;
const emptyMessage = "the file is empty: a mapping with services is expected";

function decode({
  file,
  bytes,
  report,
}: {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly report: Report;
}): string | undefined {
  if (bytes.length > yamlBytesMax) {
    const message = `the file has ${bytes.length} bytes: at most ${yamlBytesMax} are allowed`;
    report.error({ file, line: 1, column: 1 }, message);
    return undefined;
  }
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes);
  let line = 1;
  let start = 0;
  for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, start)) {
    if (!isUtf8(bytes.subarray(start, end))) break;
    line += 1;
    start = end + 1;
  }
  report.error({ file, line, column: 1 }, "this line is not UTF-8 text");
  return undefined;
}

/**
 * Feeds the parser lexeme by lexeme, so that nesting without end is noticed while it is still
 * cheap.
 */
function composeDocuments(source: string, lines: LineCounter): readonly Document.Parsed[] {
  lines.addNewLine(0);
  const parser = new Parser(lines.addNewLine);
  const tokens = [];
  let documents = 0;
  for (const lexeme of new Lexer().lex(source)) {
    for (const token of parser.next(lexeme)) {
      tokens.push(token);
      if (token.type === "document") documents += 1;
    }
    if (parser.stack.length > tokenDepthMax)
      throw new YamlProblem(parser.offset, `nested more than ${tokenDepthMax} levels deep`);
    if (documents > documentsMax)
      throw new YamlProblem(parser.offset, `more than ${documentsMax} YAML documents`);
  }
  tokens.push(...parser.end());
  const composer = new Composer<ParsedNode>({
    schema: "failsafe",
    resolveKnownTags: false,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: "silent",
  });
  return [...composer.compose(tokens, true, source.length)] as Document.Parsed[]; // forceDoc: one at least
}

/** Compose merges further documents over the first; that comes with merging of files. */
function onlyDocument(documents: readonly Document.Parsed[]): Document.Parsed {
  const [first, ...others] = documents;
  if (first === undefined) throw new YamlProblem(0, emptyMessage);
  for (const other of others) {
    if (other.errors.length > 0) return other;
    const at = other.contents?.range[0] ?? other.range[0];
    if (other.contents !== null && other.contents.range[1] > at)
      throw new YamlProblem(
        at,
        "not supported by berth: a second YAML document: merge it into the first",
      );
  }
  return first;
}
