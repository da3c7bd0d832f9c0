import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { readFile } from "node:fs/promises";
import { ImageError } from "../images/image-error.ts";

const PEM_BYTES_MAX = 64 * 1024;
const RSA_BITS_MIN = 2048;
const PEM_START = "-----BEGIN PUBLIC KEY-----";

export function isInlinePem(text: string): boolean {
  return text.trimStart().startsWith(PEM_START);
}

/** A public key out of PEM or of a PEM file. Throws when it is none of ECDSA P-256, RSA (2048 bits or more), Ed25519. */
export async function readTrustedKey(source: string): Promise<KeyObject> {
  const name = isInlinePem(source) ? "a key in the policy" : source;
  try {
    const pem = isInlinePem(source) ? source : await readFile(source, "utf8");
    if (pem.length > PEM_BYTES_MAX) throw new Error("it is larger than 64 KiB");
    // A private key would be accepted by the next call; a file with one is a mistake to be told.
    if (!isInlinePem(pem)) throw new Error(`it does not begin with ${PEM_START}`);
    const key = createPublicKey(pem);
    checkKind(key);
    return key;
  } catch (cause) {
    throw new ImageError({
      because: `${name} cannot be used as a trusted key (${cause instanceof Error ? cause.message : String(cause)})`,
      fix: "name a public key that `cosign generate-key-pair` made, or another of ECDSA P-256, RSA or Ed25519",
      kind: "stalled",
      cause,
    });
  }
}

/** Whether one of the keys made this signature: ECDSA and RSA (PKCS #1 v1.5) over SHA-256, Ed25519 over the data itself. */
export function isSignedByAny(
  keys: readonly KeyObject[],
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  return keys.some((key) => {
    try {
      return verify(key.asymmetricKeyType === "ed25519" ? null : "sha256", data, key, signature);
    } catch {
      // What is no signature at all is none of this key.
      return false;
    }
  });
}

function checkKind(key: KeyObject): void {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "ed25519":
      return;
    case "ec":
      if (namedCurve === "prime256v1") return;
      throw new Error(`it is on the curve ${namedCurve}, P-256 is expected`);
    case "rsa":
      if (modulusLength >= RSA_BITS_MIN) return;
      throw new Error(`it has ${modulusLength} bits, ${RSA_BITS_MIN} at least are expected`);
    default:
      throw new Error(`it is of the kind ${key.asymmetricKeyType}`);
  }
}
