import type { SopsDocument, SopsLeaf } from "./sops-document.ts";
import type { SopsScalar } from "./sops-value.ts";

type Line = { readonly key: string | undefined; scalar: SopsScalar };

/** `KEY=value` lines and `#` comments; metadata is flat: `sops_age__list_0__map_enc`. */
export function readSopsDotenv(text: string): SopsDocument {
  const lines: Line[] = [];
  const metadata = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    if (line.startsWith("#")) {
      lines.push({ key: undefined, scalar: { type: "comment", text: line.slice(1) } });
      continue;
    }
    const cut = line.indexOf("=");
    if (cut === -1)
      throw new Error("it has a line without =, which a dotenv file of SOPS does not have");
    const key = line.slice(0, cut);
    const value = line.slice(cut + 1).replaceAll("\\n", "\n");
    if (key.startsWith("sops_")) metadata.set(key.slice("sops_".length), value);
    else lines.push({ key, scalar: { type: "str", text: value } });
  }
  const leaves = lines.map(
    (line): SopsLeaf => ({
      path: line.key === undefined ? [] : [line.key],
      scalar: line.scalar,
      isComment: line.key === undefined,
      set: (scalar) => {
        line.scalar = scalar;
      },
    }),
  );
  return {
    metadata: metadata.size === 0 ? undefined : unflatten(metadata),
    leaves,
    write: (values) =>
      [...lines.map(writeLine), ...flatten("sops", values ?? {})]
        .map((line) => `${line}\n`)
        .join(""),
  };
}

function writeLine({ key, scalar }: Line): string {
  return key === undefined ? `#${scalar.text}` : `${key}=${scalar.text.replaceAll("\n", "\\n")}`;
}

function unflatten(flat: ReadonlyMap<string, string>): unknown {
  const values: Record<string, unknown> = Object.create(null);
  const keys: Record<string, string>[] = [];
  for (const [key, value] of flat) {
    const element = /^age__list_(\d{1,3})__map_([a-z]+)$/.exec(key);
    if (element === null) values[key] = value;
    else {
      const index = Number(element[1]);
      keys[index] = { ...keys[index], [element[2] ?? ""]: value };
    }
  }
  return keys.length === 0 ? values : { ...values, age: keys };
}

function flatten(prefix: string, value: unknown): readonly string[] {
  if (Array.isArray(value))
    return value.flatMap((item, index) => flatten(`${prefix}__list_${index}`, item));
  if (typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([key, item]) =>
      flatten(prefix === "sops" ? `sops_${key}` : `${prefix}__map_${key}`, item),
    );
  return [`${prefix}=${String(value).replaceAll("\n", "\\n")}`];
}
