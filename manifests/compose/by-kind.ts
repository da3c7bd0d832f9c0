import { z } from "zod";
import { quoteValue } from "../diagnostics.ts";

export type Kind = "null" | "boolean" | "number" | "string" | "list" | "mapping";

/**
 * A schema that picks one of several by the kind of the value (`null`, `string`, `list`, …), so
 * that an error says which kinds are expected, or what is wrong within the chosen one, with its
 * path.
 */
export function byKind<const Choices extends Partial<Record<Kind, z.ZodType>>>(
  choices: Choices,
): z.ZodType<OutputOf<Choices>> {
  const table = new Map<string, z.ZodType>(Object.entries(choices));
  const expected = expectedKinds([...table.keys()]);
  return z.unknown().transform((value, context): OutputOf<Choices> => {
    const schema = table.get(kindOf(value));
    if (schema === undefined) {
      context.addIssue({
        code: "custom",
        message: `${expected} is expected, not ${describeValue(value)}`,
      });
      return z.NEVER;
    }
    const result = schema.safeParse(value);
    // The table holds exactly the schemas of `choices`.
    if (result.success) return result.data as OutputOf<Choices>;
    copyIssues(result.error, { value, context });
    return z.NEVER;
  });
}

/** A mapping with free keys, in the order of the file; every value follows one schema. */
export function mapOf<Output>(
  schema: z.ZodType<Output>,
): z.ZodType<ReadonlyMap<string, Output>, Readonly<Record<string, unknown>>> {
  return z.custom<Readonly<Record<string, unknown>>>().transform((mapping, context) => {
    const values = new Map<string, Output>();
    for (const [key, value] of Object.entries(mapping)) {
      const result = schema.safeParse(value);
      if (result.success) values.set(key, result.data);
      else copyIssues(result.error, { key, value, context });
    }
    return values;
  });
}

/** Text of a grammar: `parse` returns undefined for what does not follow it. */
export function grammar<Output>({
  parse,
  expected,
}: {
  readonly parse: (text: string) => Output | undefined;
  readonly expected: string;
}): z.ZodType<Output, string> {
  return z.string().transform((text, context) => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({
      code: "custom",
      message: `${quoteValue(text)} is not ${expected}`,
    });
    return z.NEVER;
  });
}

/** Marks a wish that Compose would grant and this version does not. */
export function unsupported(message: string): {
  readonly code: "custom";
  readonly message: string;
  readonly params: { readonly unsupported: true };
} {
  return { code: "custom", message, params: { unsupported: true } };
}

/** Text of which this version supports one value only. */
export function only<const Value extends string>(
  value: Value,
  remedy: string,
): z.ZodType<Value, string> {
  return z.string().transform((text, context) => {
    if (text === value) return value;
    context.addIssue(unsupported(`${quoteValue(text)}: ${remedy}`));
    return z.NEVER;
  });
}

function describeValue(value: unknown): string {
  const kind = kindOf(value);
  return kind === "null" ? "null" : `a ${kind}`;
}

type OutputOf<Choices> = {
  [K in keyof Choices]: Choices[K] extends z.ZodType<infer Output> ? Output : never;
}[keyof Choices];

/**
 * Hands the issues of a nested parse on to the outer one, which puts its own path before
 * theirs.
 */
function copyIssues(
  error: z.ZodError,
  {
    key,
    value,
    context,
  }: {
    readonly key?: string;
    readonly value: unknown;
    readonly context: z.core.$RefinementCtx;
  },
): void {
  for (const issue of error.issues) {
    const path = key === undefined ? issue.path : [key, ...issue.path];
    // A finished issue has all that a raw one needs but the input.
    context.addIssue({ ...issue, path, input: value } as z.core.$ZodSuperRefineIssue);
  }
}

function kindOf(value: unknown): Kind {
  if (value === null) return "null";
  if (Array.isArray(value)) return "list";
  if (typeof value === "boolean" || typeof value === "number" || typeof value === "string")
    return typeof value as Kind; // the three names above are kinds
  return "mapping";
}

function expectedKinds(kinds: readonly string[]): string {
  const named = kinds.filter((kind) => kind !== "null").map((kind) => `a ${kind}`);
  return named.length < 2 ? named.join("") : `${named.slice(0, -1).join(", ")} or ${named.at(-1)}`;
}
