import type { ScalarValue } from "./node.ts";

/**
 * What an unquoted scalar means to Compose: the YAML 1.2 core schema, plus what its Go parser adds
 * (`_` between digits, `0755` as octal, `0b11`). `yes`, `on` and dates stay strings.
 */
export function resolvePlainScalar(source: string): {
  readonly value: ScalarValue;
  readonly text: string;
} {
  if (nulls.has(source)) return { value: null, text: "" };
  const flag = booleans.get(source);
  if (flag !== undefined) return { value: flag, text: String(flag) };
  if (/^[-+.0-9]/.test(source)) {
    const special = specials.get(source.toLowerCase());
    if (special !== undefined) return special;
    const number = integer(source) ?? decimal(source);
    if (number !== undefined) return number;
  }
  return { value: source, text: source };
}

const nulls = new Set(["", "~", "null", "Null", "NULL"]);

const booleans = new Map([
  ["true", true],
  ["True", true],
  ["TRUE", true],
  ["false", false],
  ["False", false],
  ["FALSE", false],
]);

const specials = new Map([
  ["-0", { value: 0, text: "-0" }],
  [".inf", { value: Number.POSITIVE_INFINITY, text: "+Inf" }],
  ["+.inf", { value: Number.POSITIVE_INFINITY, text: "+Inf" }],
  ["-.inf", { value: Number.NEGATIVE_INFINITY, text: "-Inf" }],
  [".nan", { value: Number.NaN, text: "NaN" }],
]);

const digitsMax = 64;

function integer(source: string): { value: number; text: string } | undefined {
  const parts = /^([-+]?)(0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+|[1-9][0-9_]*|0)$/.exec(
    source,
  );
  if (parts === null || source.length > digitsMax) return undefined;
  const digits = (parts[2] ?? "").replaceAll("_", "");
  const magnitude = /^0[oO]?[0-7]+$/.test(digits)
    ? `0o${digits.replace(/^0[oO]?/, "")}`
    : digits.toLowerCase();
  if (/^0[xob]?$/.test(magnitude) && magnitude !== "0") return undefined;
  const exact = BigInt(magnitude) * (parts[1] === "-" ? -1n : 1n);
  return { value: Number(exact), text: exact.toString() };
}

function decimal(source: string): { value: number; text: string } | undefined {
  const digits = source.replaceAll("_", "");
  if (source.length > digitsMax) return undefined;
  if (!/^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/.test(digits)) return undefined;
  const value = Number(digits);
  if (!Number.isFinite(value)) return undefined;
  return { value, text: goText(value) };
}

/**
 * Go prints exponents below 1e-4 with at least two digits; JavaScript does so below 1e-6, with
 * one.
 */
function goText(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude === 0 || magnitude >= 1e-4) return Object.is(value, -0) ? "-0" : String(value);
  return value.toExponential().replace(/e-([0-9])$/, "e-0$1");
}
