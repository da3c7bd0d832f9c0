import test from "ava";
import { decryptAge, encryptAge, isAge, newIdentity } from "../../manifests/secrets/age.ts";
import { decryptSecret, secretFormat } from "../../manifests/secrets/secret-file.ts";

/** Made with age 1.3.2 for the key below, which opens nothing else. */
const identity = "AGE-SECRET-KEY-1YQUEC95AU634T0DXXD47XF7MJ5X5S3KTGTU9DKXG2TJKVQ4UYNCSC27D57";
const binary =
  "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSB0RzNIUXkydXdLanVUdkM2RU9wV2dpaWhhcHA3WmZtT0FCb0hjS3o0SGlnCmdYMW56dXJkMkRCSUtlakdpcHlta3RuekZLYnVpUit0b3h3WEhqMkxGcDQKLS0tIGxOZ3g5Y3BaUy90djdtMDRUM2d2eWhVZGNmdThYbHdDbVVHa0VrME9iYU0K/rdFwFBJoHcO+YbpeVO0eOnuMZUpdxHlVdph7rBQURjE/MJRdpA/6/Jtbpc=";
const armored = `-----BEGIN AGE ENCRYPTED FILE-----
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBZV0d3ZHpyWklzOUlCZ28x
VjVZTVJPWVF1UHNHZVhqL1lhQm1JY0dyTUZjClFodWJ0cGVFdk1HdHpMZDhnVXpX
VWxXMHpLeVpZTElMLzlraUdSejVlaU0KLS0tIG1hN1dvOW1WVmxWQXFGTVc0NllG
dWgwQlRPaGhkd2hIK3BRZklDbHl0WWMKprmqxh8c7NeoZmx3iPyp/LZhPMjk/Ds7
k1ke07Nv0pMSZISFlfPtekoXksU=
-----END AGE ENCRYPTED FILE-----
`;

test("files of age itself are opened, armored or not", async (t) => {
  for (const bytes of [Buffer.from(binary, "base64"), Buffer.from(armored)]) {
    t.true(isAge(bytes));
    t.is(secretFormat("x.json", bytes), "age");
    const plain = await decryptSecret({ format: "age", bytes, identities: [identity] });
    t.is(Buffer.from(plain).toString(), "made by age\n");
  }
});

test("what is encrypted here is opened by its recipients and by nobody else", async (t) => {
  const [first, second, other] = await Promise.all([newIdentity(), newIdentity(), newIdentity()]);
  const text = await encryptAge(Buffer.from("hush"), [first.recipient, second.recipient]);
  t.true(text.startsWith("-----BEGIN AGE ENCRYPTED FILE-----\n"));
  for (const { identity: own } of [first, second])
    t.is(
      Buffer.from(await decryptAge(Buffer.from(text), [other.identity, own])).toString(),
      "hush",
    );
  await t.throwsAsync(decryptAge(Buffer.from(text), [other.identity]), {
    message: /not encrypted to this host: `berth secrets rekey`/,
  });
  await t.throwsAsync(decryptAge(Buffer.from(text), []), { message: /`berth secrets keygen`/ });
});

test("a damaged file is told from one for another host, and no message holds its content", async (t) => {
  const damaged = Buffer.from(binary, "base64");
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
  const error = await t.throwsAsync(decryptAge(damaged, [identity]), { message: /it is damaged/ });
  t.false(String(error.stack).includes(identity));
  await t.throwsAsync(decryptAge(Buffer.from(armored.slice(0, -40)), [identity]));
});

test("what is not encrypted is plain, whatever its name", (t) => {
  for (const [path, text] of [
    ["x.age", "hello"],
    ["x.yaml", "sops: 1"],
    ["x.yaml", "a: ]"],
    ["x.json", '{"sops": {}}'],
    ["x.env", "sops_version=3"],
    ["x", ""],
  ] as const)
    t.is(secretFormat(path, Buffer.from(text)), "plain", path);
});
