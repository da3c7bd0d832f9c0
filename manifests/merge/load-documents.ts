import { interpolate } from "../compose/interpolate.ts";
import { type AppFiles, readAppFile } from "../compose/read-app-file.ts";
import type { Lookup } from "../compose/template.ts";
import type { Report } from "../diagnostics.ts";
import type { MappingNode, Node, Position } from "../yaml/node.ts";
import { describeNode } from "../yaml/node.ts";
import { parseDocuments, yamlBytesMax } from "../yaml/parse-yaml.ts";
import { longForm } from "./long-form.ts";

/** Reads the Compose files of one app, each of them once. */
export class DocumentReader {
  readonly files: AppFiles;
  readonly report: Report;
  #inclusions = 0;
  readonly #parsed = new Map<string, Promise<readonly MappingNode[] | undefined>>();

  /** By whose variables are filled in. */
  readonly #loaded = new WeakMap<
    Lookup,
    Map<string, Promise<readonly MappingNode[] | undefined>>
  >();

  constructor(files: AppFiles, report: Report) {
    this.files = files;
    this.report = report;
  }

  /**
   * Counts one more inclusion; false, and reported, where there are too many. A few small files that include each other
   * again and again stand for billions of inclusions, and merging them would never end.
   */
  mayInclude(at: Position): boolean {
    this.#inclusions += 1;
    if (this.#inclusions === inclusionsMax + 1) {
      this.report.error(at, `more than ${inclusionsMax} inclusions make up the app: split it`);
    }
    return this.#inclusions <= inclusionsMax;
  }

  /**
   * The documents of a file as they are written; undefined after a mistake, which is reported. `path` is the file's
   * in the repository, `at` is where it is asked for.
   */
  parse(path: string, at: Position): Promise<readonly MappingNode[] | undefined> {
    const known = this.#parsed.get(path);
    if (known !== undefined) return known;
    const parsing = this.#parse(path, at);
    this.#parsed.set(path, parsing);
    return parsing;
  }

  /** The documents with their variables filled in and every short form written out. */
  load(path: string, at: Position, lookup: Lookup): Promise<readonly MappingNode[] | undefined> {
    const known = this.#loaded.get(lookup) ?? new Map();
    const loading = known.get(path) ?? this.#load(path, at, lookup);
    this.#loaded.set(lookup, known.set(path, loading));
    return loading;
  }

  async #load(
    path: string,
    at: Position,
    lookup: Lookup,
  ): Promise<readonly MappingNode[] | undefined> {
    const parsed = await this.parse(path, at);
    return parsed?.map((root) => {
      const { budget } = this.files;
      const { report } = this;
      const filled = longForm(interpolate({ root, lookup, budget, report }), { budget, report });
      // Neither step makes anything else of a mapping.
      return filled.kind === "mapping" ? filled : root;
    });
  }

  async #parse(path: string, at: Position): Promise<readonly MappingNode[] | undefined> {
    const files = { ...this.files, directory: "." };
    if (this.#parsed.size >= filesMax) {
      this.report.error(at, `more than ${filesMax} Compose files make up the app: split it`);
      return undefined;
    }
    const found = await readAppFile(files, path, yamlBytesMax);
    if (found.kind === "absent") {
      this.report.error(at, `there is no file ${path} in the repository`);
      return undefined;
    }
    if (found.kind === "refused") {
      const place = { file: path, line: 1, column: 1 };
      this.report.error(found.unsupported === true ? at : place, found.message);
      return undefined;
    }
    const roots = parseDocuments({ file: path, bytes: found.bytes, report: this.report });
    const wrong = roots?.find((root) => root.kind !== "mapping");
    if (wrong === undefined) return roots?.filter(isMapping);
    const what = describeNode(wrong);
    this.report.error(wrong.at, `a mapping with services is expected, not ${what}`);
    return undefined;
  }
}

const filesMax = 200;
const inclusionsMax = 500;

function isMapping(node: Node): node is MappingNode {
  return node.kind === "mapping";
}
