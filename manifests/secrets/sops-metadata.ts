import { z } from "zod";

const Text = z.string().max(65_536);
const AgeKey = z.looseObject({ recipient: Text, enc: Text });

/** What is understood of the `sops` mapping; other keys of its recipients are kept as they are. */
const Metadata = z.looseObject({
  age: z.array(AgeKey).max(256).nullish(),
  key_groups: z.array(z.unknown()).nullish(),
  shamir_threshold: z.number().nullish(),
  lastmodified: Text,
  mac: Text,
  unencrypted_suffix: Text.nullish(),
  encrypted_suffix: Text.nullish(),
  unencrypted_regex: Text.nullish(),
  encrypted_regex: Text.nullish(),
  unencrypted_comment_regex: Text.nullish(),
  encrypted_comment_regex: Text.nullish(),
  mac_only_encrypted: z.union([z.boolean(), z.stringbool()]).nullish(),
  version: Text.nullish(),
});

export type SopsMetadata = {
  readonly keys: readonly { readonly recipient: string; readonly enc: string }[];
  /** RFC 3339, to the second: additional data of the MAC. */
  readonly lastModified: string;
  readonly mac: string;
  readonly rule: CryptRule;
  readonly macOnlyEncrypted: boolean;
};

export type CryptRule = {
  readonly kind:
    | "unencrypted_suffix"
    | "encrypted_suffix"
    | "unencrypted_regex"
    | "encrypted_regex";
  readonly text: string;
};

/** Throws an error that says what of the metadata cannot be used. */
export function readMetadata(values: unknown): SopsMetadata {
  const result = Metadata.safeParse(values);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new Error(`its sops metadata is not whole: ${issue?.path.join(".")} is missing or wrong`);
  }
  const { data } = result;
  if (data.key_groups != null || (data.shamir_threshold ?? 0) > 0)
    throw new Error(
      "its key is shared out in groups, which is not supported by berth: use age recipients",
    );
  for (const kind of ["unencrypted_comment_regex", "encrypted_comment_regex"] as const) {
    if (data[kind]) throw new Error(`${kind} is not supported by berth: use encrypted_regex`);
  }
  const keys = data.age ?? [];
  if (keys.length === 0)
    throw new Error(
      "it has no age recipient: add one with `sops --add-age`, other kinds are not supported by berth",
    );
  return {
    keys: keys.map(({ recipient, enc }) => ({ recipient, enc })),
    lastModified: data.lastmodified,
    mac: data.mac,
    rule: ruleOf(data),
    macOnlyEncrypted: data.mac_only_encrypted ?? false,
  };
}

/** Whether the value at a path of keys is encrypted; positions in lists are no part of the path. */
export function isEncryptedPath({ kind, text }: CryptRule, path: readonly string[]): boolean {
  switch (kind) {
    case "unencrypted_suffix":
      return !path.some((key) => key.endsWith(text));
    case "encrypted_suffix":
      return path.some((key) => key.endsWith(text));
    case "unencrypted_regex":
      return !path.some((key) => patternOf(text).test(key));
    case "encrypted_regex":
      return path.some((key) => patternOf(text).test(key));
  }
}

/** What `sops` writes of a file that berth encrypted. */
export function writeMetadata(metadata: SopsMetadata): Readonly<Record<string, unknown>> {
  const { keys, lastModified, mac, rule, macOnlyEncrypted } = metadata;
  return {
    age: keys.map(({ recipient, enc }) => ({ recipient, enc })),
    lastmodified: lastModified,
    mac,
    [rule.kind]: rule.text,
    ...(macOnlyEncrypted ? { mac_only_encrypted: true } : {}),
    version: "3.9.0",
  };
}

export const defaultRule: CryptRule = { kind: "unencrypted_suffix", text: "_unencrypted" };

function ruleOf(data: z.infer<typeof Metadata>): CryptRule {
  const kinds = [
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
  ] as const;
  const rules = kinds.flatMap((kind): readonly CryptRule[] => {
    const text = data[kind];
    return text ? [{ kind, text }] : [];
  });
  if (rules.length > 1)
    throw new Error(`${rules[0]?.kind} and ${rules[1]?.kind} exclude each other: keep one of them`);
  const rule = rules[0] ?? defaultRule;
  if (rule.kind.endsWith("_regex")) checkPattern(rule.text);
  return rule;
}

/** The pattern comes with the file: one that takes for ever on a short key must not be run. */
function checkPattern(pattern: string): void {
  if (pattern.length > 256 || /\)[*+?{]|[*+}][*+{]|\\[1-9k]|\(\?[^:]/.test(pattern))
    throw new Error(
      "its pattern of keys repeats a group or looks around, which is not supported by berth: a list such as ^(data|stringData)$ is expected",
    );
  try {
    patternOf(pattern);
  } catch (cause) {
    throw new Error("its pattern of keys is not a regular expression", { cause });
  }
}

function patternOf(text: string): RegExp {
  return new RegExp(text);
}
