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
