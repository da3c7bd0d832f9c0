import { grammar } from "./by-kind.ts";

/** What a volume, network, config or secret may be called on the host. */
export const ObjectName = grammar({
  parse: (text) => (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(text) ? text : undefined),
  expected: "a name: letters, digits, _ . - and a letter or digit first",
});
