import { z } from "zod";
import { byKind, grammar } from "./by-kind.ts";

/** true, false, and the words Compose takes for them. */
export const Flag = byKind({
  boolean: z.boolean(),
  string: grammar({
    parse: (text) => flagWords.get(text.toLowerCase()),
    expected: "true or false",
  }),
});
export type Flag = z.infer<typeof Flag>;

/** A whole number from `min` to `max`, as a number or as text. */
export function wholeNumber({ min, max }: { readonly min: number; readonly max: number }) {
  const expected = `a whole number from ${min} to ${max}`;
  const number = z
    .number({ error: `${expected} is expected` })
    .refine((value) => Number.isInteger(value) && value >= min && value <= max, {
      error: (issue) => `${String(issue.input)} is not ${expected}`,
    });
  const parse = (text: string) => {
    const value = /^[-+]?[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
    return value !== undefined && value >= min && value <= max ? value : undefined;
  };
  return byKind({ number, string: grammar({ parse, expected }) });
}

const cpusMax = 4096;

/** CPUs' worth of time, 0 for no limit. */
export const Cpus = byKind({
  number: z
    .number({ error: "a number of CPUs such as 0.5 is expected" })
    .refine((value) => value >= 0 && value <= cpusMax, {
      error: (issue) => `${String(issue.input)} is not a number of CPUs from 0 to ${cpusMax}`,
    }),
  string: grammar({
    parse: (text) => {
      const value = /^(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)$/.test(text) ? Number(text) : undefined;
      return value !== undefined && value <= cpusMax ? value : undefined;
    },
    expected: `a number of CPUs such as 0.5, from 0 to ${cpusMax}`,
  }),
});
export type Cpus = z.infer<typeof Cpus>;

/** `64m`, `1.5 GiB`, `1024`: bytes, with the 1024-based units of Docker. */
export const SizeText = grammar({
  parse: parseSize,
  expected: "a size in bytes such as 1048576, 512k, 64m or 2g",
});
export type SizeText = z.infer<typeof SizeText>;

/** Bytes, as a whole number or as text with a unit. */
export const ByteSize = byKind({
  number: z
    .number({ error: "a size in bytes is expected" })
    .refine((value) => Number.isSafeInteger(value) && value >= 0, {
      error: (issue) => `${String(issue.input)} is not a whole number of bytes`,
    }),
  string: SizeText,
});
export type ByteSize = z.infer<typeof ByteSize>;

/**
 * `1h2m3.5s`, `250ms`, `0`: milliseconds, as Go writes durations, plus `d` and `w`. At most 24
 * days.
 */
export const Duration = byKind({
  string: grammar({
    parse: parseDurationMs,
    expected: "a duration such as 10s, 1m30s or 1.5h (a number needs its unit), at most 24 days",
  }),
});
export type Duration = z.infer<typeof Duration>;

/** `KEY: value` or `- KEY=value`; a key without a value has null. The order of the file is kept. */
export const KeyValues = byKind({
  mapping: z.custom<Readonly<Record<string, unknown>>>().transform((mapping, context) => {
    const pairs = new Map<string, string | null>();
    for (const [key, value] of Object.entries(mapping)) {
      if (value === null || typeof value === "string") pairs.set(key, value);
      else {
        const message = "a string, number, boolean or null is expected";
        context.addIssue({ code: "custom", message, path: [key] });
      }
    }
    refuseBadKeys(pairs, context);
    return pairs as ReadonlyMap<string, string | null>;
  }),
  list: z.array(z.string()).transform((list, context) => {
    const pairs = new Map<string, string | null>();
    for (const text of list) {
      const equals = text.indexOf("=");
      if (equals === -1) pairs.set(text, null);
      else pairs.set(text.slice(0, equals), text.slice(equals + 1));
    }
    refuseBadKeys(pairs, context);
    return pairs as ReadonlyMap<string, string | null>;
  }),
});
export type KeyValues = z.infer<typeof KeyValues>;

const flagWords = new Map([
  ["true", true],
  ["yes", true],
  ["y", true],
  ["on", true],
  ["false", false],
  ["no", false],
  ["n", false],
  ["off", false],
]);

function refuseBadKeys(
  pairs: ReadonlyMap<string, unknown>,
  context: { addIssue(issue: { code: "custom"; message: string }): void },
): void {
  for (const key of pairs.keys()) {
    if (key !== "" && !key.includes("=") && key.trimEnd() === key) continue;
    const problem = key === "" ? "an empty key" : `the key ${JSON.stringify(key)}`;
    const message = `${problem} is not allowed: no "=" and no white space at its end`;
    context.addIssue({ code: "custom", message });
  }
}

const sizeUnits = new Map([
  ["", 1],
  ["k", 1024],
  ["m", 1024 ** 2],
  ["g", 1024 ** 3],
  ["t", 1024 ** 4],
  ["p", 1024 ** 5],
]);

/** Bytes; undefined for what is no size. */
export function parseSize(text: string): number | undefined {
  const parts = /^([0-9]{1,16}(?:\.[0-9]{1,16})?) ?([kmgtp]?)i?b?$/i.exec(text);
  const unit = sizeUnits.get(parts?.[2]?.toLowerCase() ?? "");
  if (parts === null || unit === undefined) return undefined;
  const bytes = Math.trunc(Number(parts[1]) * unit);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const durationUnitsMs = new Map([
  ["ns", 1e-6],
  ["us", 1e-3],
  ["µs", 1e-3],
  ["μs", 1e-3],
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
  ["w", 604_800_000],
]);

/** Node's timers count milliseconds in 31 bits. */
const durationMsMax = 24 * 86_400_000;

/** Rounds to a whole millisecond, never from something to nothing; undefined for what is no duration. */
export function parseDurationMs(text: string): number | undefined {
  if (text === "0") return 0;
  if (text.length > 64 || !/^\+?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)[a-zµμ]+)+$/.test(text))
    return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)([a-zµμ]+)/g)) {
    const factor = durationUnitsMs.get(unit ?? "");
    if (factor === undefined) return undefined;
    total += Number(amount) * factor;
  }
  if (total > durationMsMax) return undefined;
  return total > 0 ? Math.max(1, Math.round(total)) : 0;
}
