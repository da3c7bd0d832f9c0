import { isUtf8 } from "node:buffer";
import { Composer, type Document, Lexer, LineCounter, type ParsedNode, Parser } from "yaml";
import type { Report } from "../diagnostics.ts";
import { buildNode, YamlProblem } from "./build-node.ts";
import type { Node, Position } from "./node.ts";

/** Bytes that one YAML file may have. */
export const yamlBytesMax = 1024 * 1024;

type ParseRequest = {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly report: Report;
};

/** Parses a file of one YAML 1.2 document, as `parseDocuments` does. */
export function parseYaml(request: ParseRequest): Node | undefined {
  const [first, second] = parseDocuments(request) ?? [];
  if (second === undefined) return first;
  request.report.error(second.at, "a second YAML document: one is expected");
  return undefined;
}

/**
 * Parses YAML 1.2 documents; at least one is there. Reports what is wrong and returns undefined then. Never throws:
 * the input is bounded in bytes, depth, documents, aliases and in the nodes that the aliases
 * stand for.
 */
export function parseDocuments({ file, bytes, report }: ParseRequest): readonly Node[] | undefined {
  const source = decode({ file, bytes, report });
  if (source === undefined) return undefined;
  const lines = new LineCounter();
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  try {
    const documents = composeDocuments(source, lines);
    const errors = documents.flatMap((document) => document.errors);
    for (const error of errors.slice(0, errorsMax))
      report.error(positionAt(error.pos[0]), `not valid YAML: ${error.message}`);
    if (errors.length > 0) return undefined;
    const roots = documents.flatMap(({ contents }) => (isWritten(contents) ? [contents] : []));
    const nodes = roots.map((root) => buildNode({ root, source, positionAt }));
    if (nodes.length > 0) return nodes;
    const [empty] = documents.flatMap(({ contents }) => contents ?? []);
    if (empty === undefined) throw new YamlProblem(0, emptyMessage);
    return [buildNode({ root: empty, source, positionAt })];
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
  for (const token of parser.end()) {
    tokens.push(token);
    if (token.type === "document") documents += 1;
  }
  if (documents > documentsMax)
    throw new YamlProblem(parser.offset, `more than ${documentsMax} YAML documents`);
  const composer = new Composer<ParsedNode>({
    schema: "failsafe",
    resolveKnownTags: false,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: "silent",
  });
  return [...composer.compose(tokens, true, source.length)] as Document.Parsed[]; // forceDoc: one at least
}

/** An empty document beside others says nothing. */
function isWritten(contents: ParsedNode | null): contents is ParsedNode {
  return contents !== null && contents.range[1] > contents.range[0];
}
