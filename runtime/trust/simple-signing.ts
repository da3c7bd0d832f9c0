import type { KeyObject } from "node:crypto";
import * as z from "zod";
import type { Digest } from "../images/digest.ts";
import { printable } from "../images/image-error.ts";
import { parseReference } from "../images/reference.ts";
import { isSignedByAny } from "./trusted-key.ts";

/** What a signature must say. */
export type SignedImage = {
  readonly digest: Digest;
  /** The bytes of that digest. */
  readonly manifest: Uint8Array;
  /** `host[:port]/path`, as the signer names it. */
  readonly repository: string;
};

/** Undefined: it holds. Otherwise why it does not, as in "one is …". */
export type Objection = string | undefined;

export const SIMPLE_SIGNING_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json";
export const SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature";

const Payload = z.object({
  critical: z.object({
    type: z.enum(["cosign container image signature", "https://sigstore.dev/cosign/sign/v1"]),
    image: z.object({ "docker-manifest-digest": z.string() }),
    identity: z.object({ "docker-reference": z.string() }),
  }),
});

/** Checks a signature of cosign's first form (sigstore/cosign, specs/SIGNATURE_SPEC.md): detached, over a small JSON. */
export function checkSimpleSigning(
  signed: { readonly payload: Uint8Array; readonly signature: string },
  keys: readonly KeyObject[],
  image: SignedImage,
): Objection {
  // Nothing of the payload is looked at before somebody vouched for it.
  if (!isSignedByAny(keys, signed.payload, Buffer.from(signed.signature, "base64"))) {
    return "by another key";
  }
  const payload = Payload.safeParse(readJson(signed.payload));
  if (!payload.success) return "of a form that is not known";
  const { critical } = payload.data;
  const digest = critical.image["docker-manifest-digest"];
  if (digest !== image.digest) return `for ${printable(digest, 80)}`;
  const name = critical.identity["docker-reference"];
  return nameOf(name) === image.repository ? undefined : `for ${printable(name, 200)}`;
}

/** Without tag and digest, in full form. */
function nameOf(text: string): string | undefined {
  try {
    const { registry, repository } = parseReference(text);
    return `${registry}/${repository}`;
  } catch {
    return undefined;
  }
}

export function readJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
