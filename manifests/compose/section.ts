/** Where a service says what Compose has no key for. */
export const extensionKey = "x-berth";

/**
 * How the value of an accepted key is read: `value` as it stands; `texts` as a free mapping or
 * list whose scalars keep the text Compose prints; or as one, a list, or a mapping of sections.
 */
export type KeyRule =
  | "value"
  | "texts"
  | { readonly one: Section }
  | { readonly listOf: Section }
  | { readonly mapOf: Section };

/**
 * The keys that Compose knows in one kind of mapping: those read here, and those refused, with
 * what to do.
 */
export type Section = {
  readonly accepted: ReadonlyMap<string, KeyRule>;
  readonly refused: ReadonlyMap<string, string>;
  /** What to do about all other keys, which Compose does not know either but hands on. */
  readonly others?: string;
};

export function section(
  accepted: Readonly<Record<string, KeyRule>>,
  refused: Readonly<Record<string, string>> = {},
  others?: string,
): Section {
  return {
    accepted: new Map(Object.entries(accepted)),
    refused: new Map(Object.entries(refused)),
    ...(others === undefined ? {} : { others }),
  };
}
