import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/** A scalar as SOPS knows it. Numbers keep the text that SOPS hashes: `1.50` is `1.5`. */
export type SopsScalar =
  | { readonly type: "str" | "int" | "float" | "time" | "comment"; readonly text: string }
  | { readonly type: "bool"; readonly text: "True" | "False" };

const form = /^ENC\[AES256_GCM,data:([^,]+),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]$/;
const ivBytes = 32;
const tagBytes = 16;

export function isEncryptedValue(text: string): boolean {
  return form.test(text);
}

/**
 * One value, AES-256-GCM with the path of its keys as additional data. Throws when it is not in SOPS's form, or was
 * changed or moved; no message holds content.
 */
export function decryptValue(text: string, key: Uint8Array, additional: string): SopsScalar {
  if (text === "") return { type: "str", text: "" };
  const [, data = "", iv = "", tag = "", type = ""] = form.exec(text) ?? [];
  if (type === "") throw new Error("it is not in SOPS's form ENC[AES256_GCM,…]");
  const tagged = Buffer.from(tag, "base64");
  if (tagged.length !== tagBytes) throw new Error("its tag has another length than 16 bytes");
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(iv, "base64"), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(Buffer.from(additional));
  decipher.setAuthTag(tagged);
  let plain: Buffer;
  try {
    plain = Buffer.concat([decipher.update(Buffer.from(data, "base64")), decipher.final()]);
  } catch (cause) {
    throw new Error("it was changed, or moved to another place", { cause });
  }
  return typed(type, plain.toString("utf8"));
}

export function encryptValue(scalar: SopsScalar, key: Uint8Array, additional: string): string {
  if (scalar.text === "") return "";
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(additional));
  const data = Buffer.concat([cipher.update(scalar.text, "utf8"), cipher.final()]);
  const [shown, nonce, tag] = [data, iv, cipher.getAuthTag()].map((part) =>
    part.toString("base64"),
  );
  return `ENC[AES256_GCM,data:${shown},iv:${nonce},tag:${tag},type:${scalar.type}]`;
}

function typed(type: string, text: string): SopsScalar {
  switch (type) {
    case "bool":
      return { type, text: /^(?:True|true|TRUE|t|T|1)$/.test(text) ? "True" : "False" };
    case "bytes":
      return { type: "str", text };
    case "str":
    case "int":
    case "float":
    case "time":
    case "comment":
      return { type, text };
    default:
      throw new Error(`its type ${type} is unknown`);
  }
}
