/** Texts of age identities (`AGE-SECRET-KEY-1…`), handed in by whoever may read them. */
export type Identities = readonly string[];

const armorHead = "-----BEGIN AGE ENCRYPTED FILE-----";
const binaryHead = "age-encryption.org/v1\n";

/** True for what begins like an age file, armored or not (C2SP age specification). */
export function isAge(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.subarray(0, 64)).toString("latin1");
  return head.startsWith(binaryHead) || head.trimStart().startsWith(armorHead);
}

/** Rejects when none of the identities opens it, or when it was changed; no message holds content or keys. */
export async function decryptAge(bytes: Uint8Array, identities: Identities): Promise<Uint8Array> {
  if (identities.length === 0) {
    throw new Error(
      "cannot decrypt it because this host has no identity: `berth secrets keygen` makes one",
    );
  }
  const { armor, Decrypter } = await loadAge();
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  const file = isArmored(bytes) ? decodeArmor(bytes, armor) : bytes;
  try {
    return await decrypter.decrypt(file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const advice = reason.includes("identity")
      ? "it is not encrypted to this host: `berth secrets rekey` with its recipient would do that"
      : "it is damaged: encrypt it again";
    throw new Error(`cannot decrypt it because ${advice}`, { cause });
  }
}

/** Armored, so that it is a text file in git. */
export async function encryptAge(
  bytes: Uint8Array,
  recipients: readonly string[],
): Promise<string> {
  const { armor, Encrypter } = await loadAge();
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return armor.encode(await encrypter.encrypt(bytes));
}

export async function newIdentity(): Promise<{
  readonly identity: string;
  readonly recipient: string;
}> {
  const { generateX25519Identity, identityToRecipient } = await loadAge();
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** An X25519 recipient (`age1…`); plugin and ssh recipients are others. */
export function isRecipient(text: string): boolean {
  return /^age1(?:pq1)?[a-z0-9]{20,4000}$/.test(text);
}

type Age = typeof import("age-encryption");

/** Its ciphers take memory that an agent without secrets does not need. */
function loadAge(): Promise<Age> {
  return import("age-encryption");
}

function isArmored(bytes: Uint8Array): boolean {
  return !Buffer.from(bytes.subarray(0, binaryHead.length)).equals(Buffer.from(binaryHead));
}

function decodeArmor(bytes: Uint8Array, armor: Age["armor"]): Uint8Array {
  try {
    return armor.decode(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new Error("cannot decrypt it because its armor is damaged: encrypt it again", { cause });
  }
}
