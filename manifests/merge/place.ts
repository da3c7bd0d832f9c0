import type { Lookup } from "../compose/template.ts";
import type { Position } from "../yaml/node.ts";
import type { DocumentReader } from "./load-documents.ts";

export type Place = {
  /** Directory that relative paths of the files begin at, in the repository. */
  readonly directory: string;
  /** Files that are being read, outermost first: who includes itself goes round in a circle. */
  readonly trail: readonly string[];
};

/** Files that are one model together: later ones are merged over earlier ones. */
export type FilesRequest = {
  readonly reader: DocumentReader;
  /** In the repository; never empty. */
  readonly paths: readonly string[];
  readonly place: Place;
  readonly lookup: Lookup;
  /** Where the files are asked for. */
  readonly at: Position;
};
