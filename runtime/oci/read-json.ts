import { readFileSync } from "node:fs";
import type { z } from "zod";
import { parseExactJson } from "../exact-json.ts";

/** Reads a JSON document and checks it. Throws one sentence that names the file and every field that is wrong. */
export function readJson<T>(path: string, schema: z.ZodType<T>, what: string): T {
  // 0 is the caller's stdin.
  const text = readFileSync(path === "-" ? 0 : path, "utf8");
  let value: unknown;
  try {
    value = parseExactJson(text);
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
