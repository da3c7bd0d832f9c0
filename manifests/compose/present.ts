/** `{key: value}`, or nothing where there is no value. */
export function present<Key extends string, Value>(
  key: Key,
  value: Value | null | undefined,
): { readonly [K in Key]?: Value } {
  // A computed key widens to string; it is `key` here.
  return value === undefined || value === null ? {} : ({ [key]: value } as { [K in Key]: Value });
}
