import type { KeyObject } from "node:crypto";
import * as z from "zod";
import { digestHex } from "../images/digest.ts";
import { printable } from "../images/image-error.ts";
import { type Objection, readJson, type SignedImage } from "./simple-signing.ts";
import { isSignedByAny } from "./trusted-key.ts";

export const BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";

const IN_TOTO = "application/vnd.in-toto+json";
/** Other statements about an image (provenance, a bill of materials) by the same key do not say that it may run. */
const SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1";

const Bundle = z.object({
  mediaType: z.enum([BUNDLE_TYPE, "application/vnd.dev.sigstore.bundle+json;version=0.3"]),
  dsseEnvelope: z
    .object({
      payload: z.string(),
      payloadType: z.string(),
      signatures: z
        .array(z.object({ sig: z.string() }))
        .min(1)
        .max(16),
    })
    .optional(),
  messageSignature: z
    .object({
      messageDigest: z.object({ algorithm: z.literal("SHA2_256"), digest: z.string() }).optional(),
      signature: z.string(),
    })
    .optional(),
});

const Statement = z.object({
  _type: z.enum(["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"]),
  predicateType: z.string(),
  subject: z
    .array(z.object({ digest: z.record(z.string(), z.string()) }))
    .min(1)
    .max(1000),
});

/**
 * Checks a sigstore bundle v0.3 by key, offline (sigstore/protobuf-specs, sigstore_bundle.proto): a DSSE envelope around
 * cosign's statement, or a signature over the manifest itself. Certificates and logs in it are not looked at.
 */
export function checkBundle(
  bytes: Uint8Array,
  keys: readonly KeyObject[],
  image: SignedImage,
): Objection {
  const bundle = Bundle.safeParse(readJson(bytes));
  if (!bundle.success) return "in a bundle that is not known";
  const { dsseEnvelope, messageSignature } = bundle.data;
  if (dsseEnvelope !== undefined) return checkEnvelope(dsseEnvelope, keys, image);
  if (messageSignature === undefined) return "in a bundle that is not known";
  const signature = Buffer.from(messageSignature.signature, "base64");
  return isSignedByAny(keys, image.manifest, signature) ? undefined : "by another key";
}

function checkEnvelope(
  envelope: NonNullable<z.infer<typeof Bundle>["dsseEnvelope"]>,
  keys: readonly KeyObject[],
  image: SignedImage,
): Objection {
  const payload = Buffer.from(envelope.payload, "base64");
  const signed = preAuthentication(envelope.payloadType, payload);
  const isOurs = envelope.signatures.some(({ sig }) =>
    isSignedByAny(keys, signed, Buffer.from(sig, "base64")),
  );
  if (!isOurs) return "by another key";
  if (envelope.payloadType !== IN_TOTO)
    return `of the type ${printable(envelope.payloadType, 100)}`;
  const statement = Statement.safeParse(readJson(payload));
  if (!statement.success) return "around a statement that is not known";
  const { predicateType, subject } = statement.data;
  if (predicateType !== SIGN_PREDICATE) return `a statement of ${printable(predicateType, 100)}`;
  const wanted = digestHex(image.digest);
  return subject.some(({ digest }) => digest.sha256 === wanted) ? undefined : "for another digest";
}

/** What a DSSE signature is over (secure-systems-lab/dsse, protocol.md, "PAE"). */
function preAuthentication(type: string, payload: Uint8Array): Buffer {
  const typeBytes = Buffer.byteLength(type);
  return Buffer.concat([Buffer.from(`DSSEv1 ${typeBytes} ${type} ${payload.length} `), payload]);
}
