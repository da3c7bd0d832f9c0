import type { MappingNode } from "../yaml/node.ts";
import { applyExtends } from "./apply-extends.ts";
import { applyIncludes } from "./apply-includes.ts";
import type { DocumentReader } from "./load-documents.ts";
import { mergeNodes, withoutMarks } from "./merge-nodes.ts";
import type { FilesRequest } from "./place.ts";

/**
 * Reads files and merges later ones over earlier ones, with what they include and extend. Undefined when one of them
 * cannot be read; every mistake is reported where it stands.
 */
export async function readComposeFiles({
  reader,
  paths,
  place,
  lookup,
  at,
}: FilesRequest): Promise<MappingNode | undefined> {
  let merged: MappingNode | undefined;
  let isWhole = true;
  for (const path of paths) {
    const documents = await reader.load(path, at, lookup);
    if (documents === undefined) isWhole = false;
    for (const document of documents ?? []) {
      const inner = { ...place, trail: [...place.trail, path] };
      const included = await applyIncludes({
        reader,
        document,
        place: inner,
        lookup,
        readFiles: readComposeFiles,
      });
      const extended = await applyExtends({ reader, document: included, place: inner, lookup });
      merged = layered(merged, extended, reader);
    }
  }
  return isWhole ? merged : undefined;
}

function layered(
  base: MappingNode | undefined,
  over: MappingNode,
  { report }: DocumentReader,
): MappingNode {
  const merged = base === undefined ? over : mergeNodes({ base, over, path: [], report });
  const plain = withoutMarks(merged);
  // The place of the first file is the app's.
  return plain.kind === "mapping" ? { ...plain, at: base?.at ?? over.at } : over;
}
