/** Encrypted files of a working tree: read, decrypted for whoever may, written in one step. */
import { randomBytes } from "node:crypto";
import { readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import type { SecretFormat } from "../../manifests/desired-state.ts";
import { encryptAge, type Identities } from "../../manifests/secrets/age.ts";
import {
  decryptSecret,
  secretBytesMax,
  secretFormat,
  sopsPart,
} from "../../manifests/secrets/secret-file.ts";
import { encryptSops, readSops } from "../../manifests/secrets/sops-file.ts";
import { readMetadata } from "../../manifests/secrets/sops-metadata.ts";
import { CliError } from "../cli-error.ts";

export type EncryptedFile = {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly format: Exclude<SecretFormat, "plain">;
};

export async function readBounded(path: string): Promise<Uint8Array> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile())
    throw new CliError(1, `cannot read ${path} because there is no such file: name a file`);
  if (found.size > secretBytesMax)
    throw new CliError(1, `cannot use ${path} because it is larger than ${secretBytesMax} bytes`);
  return readFile(path);
}

export async function readEncrypted(path: string): Promise<EncryptedFile> {
  const bytes = await readBounded(path);
  const format = secretFormat(path, bytes);
  if (format === "plain")
    throw new CliError(
      1,
      `cannot decrypt ${path} because it is not encrypted: \`berth secrets encrypt ${path}\` does that`,
    );
  return { path, bytes, format };
}

export async function decryptFile(
  file: EncryptedFile,
  identities: Identities,
): Promise<Uint8Array> {
  return decryptSecret({ ...file, identities }).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CliError(1, `${file.path}: ${why}`, { cause });
  });
}

/** In the format and by the rule of the file that it takes the place of. */
export async function encryptLike(
  file: EncryptedFile,
  plain: Uint8Array,
  recipients: readonly string[],
): Promise<string> {
  if (file.format === "age") return encryptAge(plain, recipients);
  const format = sopsPart(file.format);
  const like = readMetadata(readSops(format, file.bytes).metadata);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(plain);
  return encryptSops({ format, plain: text, recipients, like, now: () => new Date() });
}

/** Recipients that the file itself names: SOPS writes them down, age does not. */
export function ownRecipients({ format, bytes }: EncryptedFile): readonly string[] {
  if (format === "age") return [];
  return readMetadata(readSops(sopsPart(format), bytes).metadata).keys.map(
    ({ recipient }) => recipient,
  );
}

/** A reader sees the old content or the new one. */
export async function replaceFile(path: string, content: string): Promise<void> {
  const mode = (await stat(path).catch(() => undefined))?.mode ?? 0o644;
  const fresh = `${path}.${randomBytes(4).toString("hex")}`;
  try {
    await writeFile(fresh, content, { mode: mode & 0o777, flag: "wx" });
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}
