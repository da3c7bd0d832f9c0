import type { Path } from "../yaml/node.ts";

/** `services.*.ports`: a `*` stands for one step. */
export type PathPattern = readonly string[];

/** A table of patterns, looked up by the path of a value. */
export function patternTable<Value>(
  rows: readonly (readonly [string, Value])[],
): (path: Path) => Value | undefined {
  const byLength = new Map<number, { readonly pattern: PathPattern; readonly value: Value }[]>();
  for (const [text, value] of rows) {
    const pattern = text.split(".");
    const same = byLength.get(pattern.length) ?? [];
    same.push({ pattern, value });
    byLength.set(pattern.length, same);
  }
  return (path) =>
    byLength
      .get(path.length)
      ?.find(({ pattern }) =>
        pattern.every((step, index) => step === "*" || step === String(path[index])),
      )?.value;
}
