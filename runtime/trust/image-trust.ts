import { createHash } from "node:crypto";
import type { Digest } from "../images/digest.ts";
import { ImageError } from "../images/image-error.ts";
import type { ImageReference } from "../images/reference.ts";
import type { ReadOptions, RegistryClient } from "../registry/registry-client.ts";
import { findSignatures } from "./find-signatures.ts";
import { checkBundle } from "./sigstore-bundle.ts";
import { checkSimpleSigning, type Objection, type SignedImage } from "./simple-signing.ts";
import { type TrustPolicy, type TrustRule, trustRule } from "./trust-policy.ts";
import { readTrustedKey } from "./trusted-key.ts";

const REMEMBERED_MAX = 1000;
const OBJECTIONS_TOLD_MAX = 4;

/** Decides whether an image may be brought here, by the policy as it is at that moment. */
export class ImageTrust {
  readonly #policy: () => TrustPolicy;
  /** Digest, name and rule that were found good: a second pull asks nobody. */
  readonly #good = new Set<string>();

  constructor(policy: () => TrustPolicy) {
    this.#policy = policy;
  }

  /** Throws for a repository whose images are not wanted, whatever they are. */
  admit(reference: ImageReference): void {
    const { prefix, rule } = trustRule(this.#policy(), reference);
    if (rule !== "reject") return;
    const where = prefix === "" ? "by default" : `from ${prefix}`;
    throw refused(
      `the policy of this host rejects images ${where}`,
      "use an image that it accepts, or change `trust` in the policy",
    );
  }

  /** Throws unless the policy asks for no signature, or one of its keys signed exactly this content for this name. */
  async verify(
    client: RegistryClient,
    reference: ImageReference,
    image: { readonly digest: Digest; readonly options: ReadOptions },
  ): Promise<void> {
    this.admit(reference);
    const { prefix, rule } = trustRule(this.#policy(), reference);
    if (typeof rule === "string") return;
    const { digest, options } = image;
    const keys = await Promise.all(rule.keys.map(readTrustedKey));
    const name = `${reference.registry}/${reference.repository}`;
    const remembered = rememberedAs([
      digest,
      name,
      rule.signedAs ?? "",
      ...keys.map((key) => key.export({ type: "spki", format: "pem" }).toString()),
    ]);
    if (this.#good.has(remembered)) return;
    const { registry, repository } = reference;
    const { bytes } = await client.manifest({ registry, repository, digest }, options);
    const signed = { digest, manifest: bytes, repository: signedName(name, prefix, rule) };
    const objections: string[] = [];
    const query = { client, repository: { registry, repository }, digest, options };
    for await (const found of findSignatures(query)) {
      const objection: Objection =
        found.form === "simple"
          ? checkSimpleSigning(found, keys, signed)
          : checkBundle(found.bytes, keys, signed);
      if (objection === undefined) {
        this.#remember(remembered);
        return;
      }
      objections.push(objection);
    }
    throw unsigned(signed, objections, prefix);
  }

  #remember(key: string): void {
    if (this.#good.size >= REMEMBERED_MAX) this.#good.clear();
    this.#good.add(key);
  }
}

function signedName(name: string, prefix: string, rule: Exclude<TrustRule, string>): string {
  return rule.signedAs === undefined ? name : `${rule.signedAs}${name.slice(prefix.length)}`;
}

function rememberedAs(parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\0")).digest("hex");
}

function unsigned(
  { digest, repository }: SignedImage,
  objections: readonly string[],
  prefix: string,
): ImageError {
  const told = [...new Set(objections)].slice(0, OBJECTIONS_TOLD_MAX).join("; ");
  const why =
    objections.length === 0
      ? `${digest} has no signature there`
      : `no signature of ${digest} holds: ${objections.length} found, ${told}`;
  const rule = prefix === "" ? "trust.default" : `trust.prefixes of ${prefix}`;
  return refused(
    `the policy of this host wants it signed and ${why}`,
    `sign ${repository}@${digest} with cosign and a key of \`${rule}\`, or change the policy`,
  );
}

function refused(because: string, fix: string): ImageError {
  return new ImageError({ because, fix, kind: "stalled" });
}
