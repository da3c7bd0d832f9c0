import { readFileSync } from "node:fs";
import type { z } from "zod";

/** Reads a JSON document and checks it. Throws one sentence that names the file and every field that is wrong. */
export function readJson<T>(path: string, schema: z.ZodType<T>, what: string): T {
  // 0 is the caller's stdin.
  const text = readFileSync(path === "-" ? 0 : path, "utf8");
  let value: unknown;
  try {
    value = JSON.parse(text, exactInteger);
  } catch (cause) {
    throw new Error(`cannot read ${what} from ${path} because it is not JSON`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.map(String).join(".") || what}: ${issue.message}`,
  );
  throw new Error(`cannot use ${path} because ${problems.join("; ")}`);
}

/** Limits and system call arguments go up to 2^64 - 1. */
function exactInteger(
  _key: string,
  value: unknown,
  context?: { readonly source?: string },
): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? "";
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}
