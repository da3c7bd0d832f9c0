/**
 * JSON text that depends on content alone: keys sorted by UTF-16 units, no white space, undefined
 * fields left out. Equal values give equal text, so the text can be hashed and compared.
 * Throws a TypeError for what JSON cannot carry (functions, bigints, NaN, infinities).
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "string" || typeof value === "boolean")
    return JSON.stringify(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object") {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`);
    return `{${fields.join(",")}}`;
  }
  throw new TypeError(`cannot write a ${typeof value} (${String(value)}) as JSON`);
}

/** True when `canonicalJson` gives one text for both, without writing it. */
export function hasSameContent(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  if (Array.isArray(one) || Array.isArray(other)) {
    if (!Array.isArray(one) || !Array.isArray(other) || one.length !== other.length) return false;
    return one.every((item, index) => hasSameContent(item, other[index]));
  }
  // Both are objects that are no arrays.
  const fields = other as Readonly<Record<string, unknown>>;
  return (
    fieldCount(one) === fieldCount(other) &&
    Object.entries(one).every(
      ([key, value]) =>
        value === undefined || (Object.hasOwn(fields, key) && hasSameContent(value, fields[key])),
    )
  );
}

function fieldCount(value: object): number {
  let count = 0;
  for (const field of Object.values(value)) if (field !== undefined) count += 1;
  return count;
}
