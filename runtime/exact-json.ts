/** Like `JSON.parse`, but integers beyond 2^53 come as bigint: limits and system call arguments go up to 2^64 - 1. */
export function parseExactJson(text: string): unknown {
  return JSON.parse(text, exactInteger);
}

function exactInteger(
  _key: string,
  value: unknown,
  context?: { readonly source?: string },
): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? "";
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}
