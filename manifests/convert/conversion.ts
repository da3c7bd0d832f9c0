import { stringify } from "yaml";

/** Values of a Compose file, as far as they could be carried over. */
export type ComposeValues = Readonly<Record<string, unknown>>;

export type Conversion = {
  readonly compose: ComposeValues;
  /** `where: what: why` for everything that could not be carried over. */
  readonly notes: readonly string[];
};

export type ConvertedFile = { readonly name: string; readonly text: string };

/** Text whose dollar signs are those of variables. */
export class Variable {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** The Compose file as YAML. A dollar sign of the original is none of a variable, but in a `Variable`. */
export function writeCompose({ compose }: Conversion): string {
  return stringify(escaped(compose), { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Without the fields that are undefined, empty lists and empty mappings. */
export function compact(values: Readonly<Record<string, unknown>>): ComposeValues {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => !isEmpty(value)));
}

/** A mapping of unknown content, read field by field; what nobody took is noted at the end. */
export class Fields {
  readonly #place: string;
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #taken = new Set<string>();
  readonly #notes: string[];

  constructor(place: string, value: unknown, notes: string[]) {
    this.#place = place;
    this.#notes = notes;
    const isMapping = typeof value === "object" && value !== null && !Array.isArray(value);
    this.#values = new Map(isMapping ? Object.entries(value) : []);
  }

  get keys(): readonly string[] {
    return [...this.#values.keys()];
  }

  take(key: string): unknown {
    this.#taken.add(key);
    return this.#values.get(key) ?? undefined;
  }

  text(key: string): string | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
      return String(value);
    this.note(key, "text is expected");
    return undefined;
  }

  flag(key: string): boolean | undefined {
    const value = this.take(key);
    return typeof value === "boolean" ? value : undefined;
  }

  list(key: string): readonly unknown[] {
    const value = this.take(key);
    return Array.isArray(value) ? value : [];
  }

  texts(key: string): readonly string[] | undefined {
    const items = this.list(key);
    return items.length === 0 ? undefined : items.map(String);
  }

  within(key: string): Fields {
    return new Fields(`${this.#place}.${key}`, this.take(key), this.#notes);
  }

  /** One reader for each element of a list. */
  each(key: string): readonly Fields[] {
    return this.list(key).map(
      (item, index) => new Fields(`${this.#place}.${key}[${index}]`, item, this.#notes),
    );
  }

  note(key: string, why: string): void {
    this.#taken.add(key);
    this.#notes.push(`${this.#place}.${key}: ${why}`);
  }

  /** Notes what is left. */
  done(why = "Compose has nothing like it"): void {
    for (const key of this.#values.keys()) if (!this.#taken.has(key)) this.note(key, why);
  }
}

function isEmpty(value: unknown): boolean {
  if (value === undefined) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function escaped(value: unknown): unknown {
  if (value instanceof Variable) return value.text;
  if (typeof value === "string") return value.replaceAll("$", "$$$$");
  if (Array.isArray(value)) return value.map(escaped);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, escaped(item)]));
}
