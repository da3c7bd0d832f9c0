/** A commit as git stores it (gitformat-signature(5), and `git cat-file commit`). */
export type CommitObject = {
  /** What was signed: the object without its signature headers. */
  readonly payload: Buffer;
  readonly signature: CommitSignature | undefined;
  /** `Name <address>`. */
  readonly author: string;
  readonly subject: string;
  /** Seconds since the epoch, by the committer's clock. */
  readonly committedAtSeconds: number;
};

export type CommitSignature = { readonly kind: "ssh" | "openpgp" | "x509"; readonly text: string };

const armour = [
  ["-----BEGIN SSH SIGNATURE-----", "ssh"],
  ["-----BEGIN PGP SIGNATURE-----", "openpgp"],
  ["-----BEGIN PGP MESSAGE-----", "openpgp"],
  ["-----BEGIN SIGNED MESSAGE-----", "x509"],
] as const;

/** Throws when the bytes are no commit. `header` is `gpgsig`, or `gpgsig-sha256` in a repository of SHA-256. */
export function parseCommit(bytes: Buffer, header: "gpgsig" | "gpgsig-sha256"): CommitObject {
  const headEnd = bytes.indexOf("\n\n");
  if (headEnd === -1) throw new Error("cannot read a commit: it has no message");
  // latin1 keeps every byte as it is: the payload must not change.
  const fields = headerFields(bytes.toString("latin1", 0, headEnd + 1));
  const kept = fields.filter(({ name }) => name !== "gpgsig" && name !== "gpgsig-sha256");
  const rest = bytes.subarray(headEnd + 1);
  const head = Buffer.from(kept.map(({ raw }) => raw).join(""), "latin1");
  const [committer] = valuesOf(fields, "committer");
  const [author = ""] = valuesOf(fields, "author");
  const message = bytes.toString("utf8", headEnd + 2);
  return {
    payload: Buffer.concat([head, rest]),
    signature: readSignature(valuesOf(fields, header)),
    author: Buffer.from(author, "latin1")
      .toString("utf8")
      .replace(/ \d+ [+-]\d{4}$/, ""),
    subject: (message.trimStart().split("\n", 1)[0] ?? "").slice(0, 200),
    committedAtSeconds: Number(/ (\d+) [+-]\d{4}$/.exec(committer ?? "")?.[1] ?? 0),
  };
}

type Field = { readonly name: string; readonly value: string; readonly raw: string };

/** A line that begins with a blank continues the field before it. */
function headerFields(head: string): Field[] {
  return (head.match(/[^ \n][^\n]*\n(?: [^\n]*\n)*/g) ?? []).map((raw) => {
    const [, name = "", value = ""] = /^(\S+) ?([\s\S]*)\n$/.exec(raw) ?? [];
    return { name, value: value.replaceAll("\n ", "\n"), raw };
  });
}

function valuesOf(fields: readonly Field[], wanted: string): string[] {
  return fields.filter(({ name }) => name === wanted).map(({ value }) => value);
}

/** Of several signatures none counts: which one another reader would take is anybody's guess. */
function readSignature(values: readonly string[]): CommitSignature | undefined {
  const [text] = values;
  if (text === undefined || values.length > 1) return undefined;
  const kind = armour.find(([begin]) => text.startsWith(begin))?.[1];
  return kind === undefined ? undefined : { kind, text: `${text}\n` };
}
