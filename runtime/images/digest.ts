import { createHash } from "node:crypto";
import { ImageError } from "./image-error.ts";

/** `sha256:` and 64 lowercase hex digits. */
export type Digest = string & { readonly __brand: "Digest" };

const grammar = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return grammar.test(text);
}

/** The OCI image-spec knows other algorithms; no registry of today serves them, so they are refused by name. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new ImageError({
    because: `${JSON.stringify(text.slice(0, 100))} is not a digest that berth reads`,
    fix: "use sha256: and 64 lowercase hexadecimal digits",
    kind: "stalled",
  });
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
}

/** The part after `sha256:`, safe as a file name. */
export function digestHex(digest: Digest): string {
  return digest.slice("sha256:".length);
}

/** ChainID of every layer, lowest first (OCI image-spec, config.md, "Layer ChainID"). */
export function chainIds(diffIds: readonly Digest[]): readonly Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    chain.push(chainIdOver(chain.at(-1), diffId));
  }
  return chain;
}

/** Of one layer; `below`: the ChainID of the layer that it lies on, undefined for the lowest. */
export function chainIdOver(below: Digest | undefined, diffId: Digest): Digest {
  return below === undefined ? diffId : digestOf(`${below} ${diffId}`);
}
