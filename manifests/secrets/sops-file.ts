import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { decryptAge, encryptAge, type Identities } from "./age.ts";
import type { SopsDocument, SopsFormat } from "./sops-document.ts";
import { readSopsDotenv } from "./sops-dotenv.ts";
import { readSopsJson } from "./sops-json.ts";
import {
  defaultRule,
  isEncryptedPath,
  readMetadata,
  type SopsMetadata,
  writeMetadata,
} from "./sops-metadata.ts";
import { decryptValue, encryptValue, isEncryptedValue, type SopsScalar } from "./sops-value.ts";
import { readSopsYaml } from "./sops-yaml.ts";

const dataKeyBytes = 32;

/** SOPS's first bytes of a hash over encrypted values alone, so that it differs from one over all of them. */
const encryptedOnlySalt = Buffer.from(
  "8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69",
  "hex",
);

type OpenedSops = {
  readonly document: SopsDocument;
  readonly metadata: SopsMetadata;
  /** 32 bytes. */
  readonly dataKey: Uint8Array;
};

/** Takes a file apart without decrypting it. Throws an error that says what is wrong with it. */
export function readSops(format: SopsFormat, bytes: Uint8Array): SopsDocument {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  if (format === "yaml") return readSopsYaml(text);
  if (format === "dotenv") return readSopsDotenv(text);
  return readSopsJson(text);
}

/** Decrypts every value in place and verifies the MAC over all of them. Rejects without a word of the content. */
async function openSops({
  format,
  bytes,
  identities,
}: {
  readonly format: SopsFormat;
  readonly bytes: Uint8Array;
  readonly identities: Identities;
}): Promise<OpenedSops> {
  const document = readSops(format, bytes);
  const metadata = readMetadata(document.metadata);
  const dataKey = await unwrapDataKey(metadata, identities);
  const hash = startHash(metadata);
  for (const leaf of document.leaves) {
    const isEncrypted = isEncryptedPath(metadata.rule, leaf.path);
    let { scalar } = leaf;
    if (isEncrypted) {
      scalar = decryptLeaf(scalar, leaf.path, { dataKey, isComment: leaf.isComment });
      leaf.set(scalar);
    }
    if (scalar.type === "comment") continue;
    if (isEncrypted || !metadata.macOnlyEncrypted) hash.update(scalar.text);
  }
  verify({ metadata, dataKey, digest: hash.digest("hex").toUpperCase() });
  return { document, metadata, dataKey };
}

/** The plain file as text; a binary file is its `data`. */
export async function decryptSops(request: {
  readonly format: SopsFormat;
  readonly bytes: Uint8Array;
  readonly identities: Identities;
}): Promise<string> {
  const { document } = await openSops(request);
  const plain = document.write(undefined);
  if (request.format !== "binary") return plain;
  const { data } = JSON.parse(plain) as { readonly data?: unknown }; // it was written by `document.write`
  if (typeof data !== "string")
    throw new Error("cannot decrypt it because a binary file of SOPS has its content in `data`");
  return data;
}

/** Encrypts a plain file with a new data key to these age recipients, by the rule of `like` or SOPS's default. */
export async function encryptSops({
  format,
  plain,
  recipients,
  like,
  now,
}: {
  readonly format: SopsFormat;
  /** Of a binary file: its content. */
  readonly plain: string;
  readonly recipients: readonly string[];
  readonly like?: Pick<SopsMetadata, "rule" | "macOnlyEncrypted"> | undefined;
  readonly now: () => Date;
}): Promise<string> {
  const text = format === "binary" ? JSON.stringify({ data: plain }) : plain;
  const document = readSops(format, Buffer.from(text));
  if (document.metadata !== undefined)
    throw new Error("cannot encrypt it because it is encrypted already");
  const dataKey = randomBytes(dataKeyBytes);
  const { rule, macOnlyEncrypted } = like ?? { rule: defaultRule, macOnlyEncrypted: false };
  const hash = startHash({ macOnlyEncrypted });
  for (const { path, scalar, set, isComment } of document.leaves) {
    const isEncrypted = isEncryptedPath(rule, path);
    if (!isComment && (isEncrypted || !macOnlyEncrypted)) hash.update(scalar.text);
    if (isEncrypted)
      set({ type: "str", text: encryptValue(scalar, dataKey, additionalData(path)) });
  }
  const lastModified = now()
    .toISOString()
    .replace(/\.\d+Z$/, "Z");
  const digest = hash.digest("hex").toUpperCase();
  const keys: SopsMetadata["keys"][number][] = [];
  for (const recipient of recipients)
    keys.push({ recipient, enc: await encryptAge(dataKey, [recipient]) });
  const mac = encryptValue({ type: "str", text: digest }, dataKey, lastModified);
  return document.write(writeMetadata({ keys, lastModified, mac, rule, macOnlyEncrypted }));
}

function startHash({ macOnlyEncrypted }: Pick<SopsMetadata, "macOnlyEncrypted">) {
  const hash = createHash("sha512");
  return macOnlyEncrypted ? hash.update(encryptedOnlySalt) : hash;
}

/** SOPS joins the keys with colons and ends with one. */
function additionalData(path: readonly string[]): string {
  return `${path.join(":")}:`;
}

/** A comment that an old version left plain stays as it is, as with SOPS. */
function decryptLeaf(
  scalar: SopsScalar,
  path: readonly string[],
  { dataKey, isComment }: { readonly dataKey: Uint8Array; readonly isComment: boolean },
): SopsScalar {
  if (isComment && !isEncryptedValue(scalar.text)) return scalar;
  const place = path.join(".");
  if (!isComment && scalar.type !== "str")
    throw new Error(`cannot decrypt it because its value at ${place} is not encrypted`);
  try {
    return decryptValue(scalar.text, dataKey, additionalData(path));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`cannot decrypt its value at ${place} because ${why}`, { cause });
  }
}

async function unwrapDataKey(metadata: SopsMetadata, identities: Identities): Promise<Uint8Array> {
  let failure: unknown;
  for (const { enc } of metadata.keys) {
    try {
      const key = await decryptAge(Buffer.from(enc), identities);
      if (key.length === dataKeyBytes) return key;
      throw new Error("cannot decrypt it because its data key has another length than 32 bytes");
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function verify({
  metadata,
  dataKey,
  digest,
}: {
  readonly metadata: SopsMetadata;
  readonly dataKey: Uint8Array;
  readonly digest: string;
}): void {
  const changed = "its MAC does not fit its values: it was changed after it was encrypted";
  let written: string;
  try {
    written = decryptValue(metadata.mac, dataKey, metadata.lastModified).text;
  } catch (cause) {
    throw new Error(`cannot decrypt it because ${changed}`, { cause });
  }
  const [expected, found] = [Buffer.from(written), Buffer.from(digest)];
  if (expected.length === found.length && timingSafeEqual(expected, found)) return;
  throw new Error(`cannot decrypt it because ${changed}`);
}
