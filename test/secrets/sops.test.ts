import { readFileSync } from "node:fs";
import test from "ava";
import { newIdentity } from "../../manifests/secrets/age.ts";
import { decryptSecret, secretFormat } from "../../manifests/secrets/secret-file.ts";
import type { SopsFormat } from "../../manifests/secrets/sops-document.ts";
import { decryptSops, encryptSops } from "../../manifests/secrets/sops-file.ts";

const key = newIdentity();
const now = () => new Date("2026-01-31T12:00:00Z");

async function encrypted(format: SopsFormat, plain: string): Promise<string> {
  return encryptSops({ format, plain, recipients: [(await key).recipient], now });
}

async function decrypted(format: SopsFormat, text: string): Promise<string> {
  return decryptSops({ format, bytes: Buffer.from(text), identities: [(await key).identity] });
}

const plains = {
  yaml: `# who
user: bob-smith
list:
  - one
  - name: x # inline
    n: 12
numbers: { int: 7, float: 1.5, big: 123456789012345678 }
flag: true
"no": "yes"
empty: ""
nothing: null
text: |
  two
  lines
shown_unencrypted: plain
`,
  json: '{\n\t"b": "1",\n\t"10": {\n\t\t"z": [\n\t\t\t1,\n\t\t\t2.5,\n\t\t\tfalse,\n\t\t\tnull\n\t\t],\n\t\t"a": "\\né"\n\t},\n\t"2": {}\n}\n',
  dotenv: "# comment\nA=1\nB=x=y \\n z\nC=\n",
  binary: "\u0001 anything\n{}",
} as const;

for (const format of ["yaml", "json", "dotenv", "binary"] as const) {
  test(`a ${format} file comes back as it was, and shows nothing meanwhile`, async (t) => {
    const text = await encrypted(format, plains[format]);
    const names = { yaml: "x.yaml", json: "x.json", dotenv: "x.env", binary: "x.bin" };
    t.is(secretFormat(names[format], Buffer.from(text)), `sops-${format}`);
    for (const word of ["bob-smith", "lines", "anything", "x=y"])
      t.false(text.includes(word), word);
    // Comments of YAML would stay readable: they are left out.
    const kept = plains[format].replace("# who\n", "").replace(" # inline", "");
    t.false(/ who| inline/.test(text));
    t.is(await decrypted(format, text), kept);
  });
}

test("what was meant to stay readable does", async (t) => {
  const text = await encrypted("yaml", plains.yaml);
  t.regex(text, /^shown_unencrypted: plain$/m);
  t.regex(text, /^nothing: null$/m);
  // sops refuses a time without quotes.
  t.regex(text, /^ {2}lastmodified: "2026-01-31T12:00:00Z"$/m);
});

test("a value that was changed, moved, taken away or put beside is refused without a word of it", async (t) => {
  const text = await encrypted("yaml", "a: first-secret\nb: second-secret\nc_unencrypted: open\n");
  const [a = "", b = ""] = text.split("\n");
  const swapped = text.replace(a, b.replace("b:", "a:")).replace(`\n${b}`, a.replace("a:", "\nb:"));
  const changes = [
    swapped,
    text.replace(`${b}\n`, ""),
    text.replace("c_unencrypted: open", "c_unencrypted: shut"),
    text.replace(`${b}\n`, `${b}\nd_unencrypted: more\n`),
    text.replace(a, "a: plain"),
    text.replace(/mac: ENC\[AES256_GCM,data:..../, "mac: ENC[AES256_GCM,data:AAAA"),
    text.replace("2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z"),
  ];
  for (const [index, change] of changes.entries()) {
    t.not(change, text, `${index}`);
    const error = await t.throwsAsync(
      decrypted("yaml", change),
      { message: /cannot decrypt/ },
      `${index}`,
    );
    t.false(/first-secret|second-secret/.test(`${error.stack}${String(error.cause)}`));
  }
});

test("recipients that are not supported, and patterns that could take for ever, are refused by name", async (t) => {
  const text = await encrypted("yaml", "a: b\n");
  const refused = async (change: string, message: RegExp) =>
    t.throwsAsync(decrypted("yaml", change), { message });
  await refused(
    text.replace(/ {2}age:[\s\S]*?(?= {2}lastmodified)/, "  pgp: []\n"),
    /no age recipient/,
  );
  await refused(
    text.replace("unencrypted_suffix: _unencrypted", "encrypted_regex: (a+)+$"),
    /repeats a group/,
  );
  await refused(
    text.replace("unencrypted_suffix", "encrypted_comment_regex"),
    /use encrypted_regex/,
  );
  await refused(
    text.replace(/^sops:\n/m, "sops:\n  shamir_threshold: 2\n"),
    /shared out in groups/,
  );
  await refused(text.replace(/ {2}mac: .*\n/, ""), /its sops metadata is not whole: mac/);
});

test("only some keys are encrypted where a rule says so, by the rule of the file before", async (t) => {
  const like = {
    rule: { kind: "encrypted_regex", text: "^(data)$" },
    macOnlyEncrypted: true,
  } as const;
  const { recipient, identity } = await key;
  const plain = "kind: Secret\ndata:\n  a: hush\nmore: 1.50\n";
  const text = await encryptSops({ format: "yaml", plain, recipients: [recipient], like, now });
  t.regex(text, /^kind: Secret$/m);
  t.false(text.includes("hush"));
  t.regex(text, /^ {2}mac_only_encrypted: true$/m);
  // What no MAC covers may be changed.
  const bytes = Buffer.from(text.replace("kind: Secret", "kind: Other"));
  const opened = await decryptSecret({ format: "sops-yaml", bytes, identities: [identity] });
  t.is(Buffer.from(opened).toString(), plain.replace("Secret", "Other"));
});

test("hostile files end in an error", async (t) => {
  const deep = `${"[".repeat(5000)}1${"]".repeat(5000)}`;
  for (const [format, text] of [
    ["json", `{"a": ${deep}, "sops": {"mac": "x"}}`],
    ["json", '{"a": 1'],
    ["json", '{"a": "\\'],
    ["yaml", `a: &a [1]\nb: [*a]\nsops: {mac: x}\n`],
    ["yaml", `a: ${deep}\n`],
    ["dotenv", "novalue\nsops_mac=x"],
  ] as const)
    await t.throwsAsync(decrypted(format, text), undefined, text.slice(0, 20));
});

/** Written by sops 3.13.3 for the identity beside them, which opens nothing else. */
const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url));
const identities = fixture("identity.txt")
  .toString()
  .split("\n")
  .filter((line) => line.startsWith("AGE-SECRET-KEY-"));

const written = {
  "sops.yaml": `list:
  - one
  - name: x
    "n": 12
numbers:
  int: 7
  float: 1.5
  neg: -3
  hex: 31
flag: true
"no": "yes"
empty: ""
nothing: null
text: |
  two
  lines
when: 2020-01-02T00:00:00Z
shown_unencrypted: 1.5
flag_unencrypted: false
`,
  "sops.json":
    '{\n\t"b": "1",\n\t"10": {\n\t\t"z": [\n\t\t\t1,\n\t\t\t2.5,\n\t\t\tfalse,\n\t\t\tnull\n\t\t],\n\t\t"a": "\\né"\n\t},\n\t"2": {},\n\t"big": 123456789012345678\n}\n',
  "sops.env": "# comment\nA=1\nB=x=y \\n z\nC=\n",
  "sops.bin": "anything\n{}\u0001",
  "sops-regex.yaml": "kind: Secret\ndata:\n  a: hush\n  b: 5\n",
} as const;

for (const [name, plain] of Object.entries(written)) {
  test(`${name} of sops itself is opened and its MAC verified`, async (t) => {
    const bytes = fixture(name);
    const format = secretFormat(name, bytes);
    t.not(format, "plain");
    const opened = Buffer.from(await decryptSecret({ format, bytes, identities })).toString();
    if (name === "sops.yaml") {
      // Comments stay as they are; they are no part of what the MAC covers.
      t.regex(opened, /^#ENC\[.*\nuser: bob #ENC\[.*\nlist:/);
      t.is(opened.slice(opened.indexOf("list:")), plain);
    } else t.is(opened, plain);
  });
}
