import { ImageError, printable } from "./image-error.ts";
import { formatReference, parseReference } from "./reference.ts";

/** The full form of a name that an image gets here. */
export function tagReference(text: string): string {
  const named = parseReference(text);
  if (named.digest === undefined) return formatReference(named);
  throw new ImageError(
    {
      because: "a name with a digest is not a tag",
      fix: "write [registry/]name[:tag]",
      kind: "stalled",
    },
    `name an image ${printable(text, 200)}`,
  );
}

export function noSuchImage(doing: string): ImageError {
  return new ImageError(
    { because: "there is no such image here", fix: "berth images lists them", kind: "stalled" },
    doing,
  );
}
