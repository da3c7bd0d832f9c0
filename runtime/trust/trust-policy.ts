import type { ImageReference } from "../images/reference.ts";

/** What must be true of an image before its layers are downloaded. */
export type TrustRule =
  | "accept"
  | "reject"
  | {
      /** Public keys, as PEM or as the path of a PEM file; a signature by any of them will do. */
      readonly keys: readonly string[];
      /** What stands for the rule's prefix in the names that signatures carry: images that were copied keep theirs. */
      readonly signedAs?: string | undefined;
    };

export type TrustPolicy = {
  readonly default: TrustRule;
  /** By `host[:port]` or `host[:port]/path`, as full references name it. The longest that fits wins. */
  readonly prefixes: Readonly<Record<string, TrustRule>>;
};

export const acceptAll: TrustPolicy = { default: "accept", prefixes: {} };

/** The rule for an image, and the prefix that it was found by: empty for the default. */
export function trustRule(
  policy: TrustPolicy,
  { registry, repository }: Pick<ImageReference, "registry" | "repository">,
): { readonly prefix: string; readonly rule: TrustRule } {
  let prefix = `${registry}/${repository}`;
  while (prefix !== "") {
    const rule = Object.hasOwn(policy.prefixes, prefix) ? policy.prefixes[prefix] : undefined;
    if (rule !== undefined) return { prefix, rule };
    prefix = prefix.slice(0, Math.max(0, prefix.lastIndexOf("/")));
  }
  return { prefix: "", rule: policy.default };
}
