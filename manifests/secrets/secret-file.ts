import type { SecretFormat } from "../desired-state.ts";
import { decryptAge, type Identities, isAge } from "./age.ts";
import type { SopsFormat } from "./sops-document.ts";
import { decryptSops, readSops } from "./sops-file.ts";

/** Bytes that an encrypted file may have, and what it holds. */
export const secretBytesMax = 1024 * 1024;

/** What kind of file it is, by its content first. Never throws: what cannot be read is plain. */
export function secretFormat(path: string, bytes: Uint8Array): SecretFormat {
  if (isAge(bytes)) return "age";
  const named = sopsFormatOf(path);
  for (const format of new Set([named, "binary"] as const)) {
    if (hasMetadata(format, bytes))
      return isBinary(format, bytes) ? "sops-binary" : `sops-${format}`;
  }
  return "plain";
}

/** The format that SOPS takes a file of this name for. */
export function sopsFormatOf(path: string): SopsFormat {
  if (/\.ya?ml$/.test(path)) return "yaml";
  if (path.endsWith(".json")) return "json";
  return path.endsWith(".env") ? "dotenv" : "binary";
}

/** The plain content. Rejects with an error that says how to mend it and never holds content or keys. */
export async function decryptSecret({
  format,
  bytes,
  identities,
}: {
  readonly format: SecretFormat;
  readonly bytes: Uint8Array;
  readonly identities: Identities;
}): Promise<Uint8Array> {
  if (format === "plain") return bytes;
  const plain =
    format === "age"
      ? await decryptAge(bytes, identities)
      : Buffer.from(await decryptSops({ format: sopsPart(format), bytes, identities }));
  if (plain.length > secretBytesMax)
    throw new Error(`cannot use it because it holds more than ${secretBytesMax} bytes`);
  return plain;
}

/** `sops-yaml` -> `yaml`. */
export function sopsPart(format: Exclude<SecretFormat, "plain" | "age">): SopsFormat {
  // The type has no others.
  return format.slice("sops-".length) as SopsFormat;
}

function hasMetadata(format: SopsFormat, bytes: Uint8Array): boolean {
  if (!Buffer.from(bytes).includes("sops")) return false;
  try {
    const { metadata } = readSops(format, bytes);
    return typeof metadata === "object" && metadata !== null && "mac" in metadata;
  } catch {
    return false;
  }
}

function isBinary(format: SopsFormat, bytes: Uint8Array): boolean {
  if (format !== "binary") return false;
  const { leaves } = readSops(format, bytes);
  return leaves.length === 1 && leaves[0]?.path.join() === "data";
}
