/** Reading a command line as the callers of OCI runtimes write it: `--name value`, `--name=value`, `-n value`. */

/** Long name -> what it takes. Short names are in `short`. */
export type OptionKinds = Readonly<Record<string, "flag" | "value" | "list">>;

export type ParsedArguments = {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly lists: ReadonlyMap<string, readonly string[]>;
  /** From the first word that is no option. */
  readonly rest: readonly string[];
};

/** The caller has written what cannot be read. */
export class UsageError extends Error {}

/** `interspersed`: options may come after other words, until `--`. */
export function parseArguments(
  words: readonly string[],
  kinds: OptionKinds,
  options: {
    readonly short?: Readonly<Record<string, string>>;
    readonly interspersed?: boolean;
  } = {},
): ParsedArguments {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const lists = new Map<string, readonly string[]>();
  const rest: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (word === "--") {
      rest.push(...words.slice(at + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      rest.push(word);
      if (options.interspersed === true) continue;
      rest.push(...words.slice(at + 1));
      break;
    }
    const { name, inline } = splitWord(word, options.short ?? {});
    const kind = kinds[name];
    if (kind === undefined) throw new UsageError(`cannot read the option ${word}: it is unknown`);
    if (kind === "flag") {
      if (inline === undefined || inline === "true") flags.add(name);
      continue;
    }
    if (inline === undefined) at += 1;
    const value = inline ?? words[at];
    if (value === undefined) throw new UsageError(`cannot read ${word}: a value is expected`);
    if (kind === "list") lists.set(name, [...(lists.get(name) ?? []), value]);
    else values.set(name, value);
  }
  return { flags, values, lists, rest };
}

/** Callers of Go runtimes write one dash before long names, too. */
function splitWord(
  word: string,
  short: Readonly<Record<string, string>>,
): { readonly name: string; readonly inline: string | undefined } {
  const bare = word.replace(/^--?/, "");
  const at = bare.indexOf("=");
  const name = at < 0 ? bare : bare.slice(0, at);
  const inline = at < 0 ? undefined : bare.slice(at + 1);
  if (word.startsWith("--")) return { name, inline };
  const long = short[name];
  if (long !== undefined) return { name: long, inline };
  const first = short[name.slice(0, 1)];
  if (first !== undefined && name.length > 1) return { name: first, inline: bare.slice(1) };
  return { name, inline };
}
