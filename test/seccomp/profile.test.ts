import test from "ava";
import { parseSeccompProfile } from "../../runtime/seccomp/profile.ts";

const text = (rule: string): string =>
  `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["ioctl"],"action":"SCMP_ACT_ALLOW",${rule}}]}`;

test("values of 64 bits keep every bit", (t) => {
  const profile = parseSeccompProfile(
    text('"args":[{"index":1,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]'),
  );
  t.is(profile.syscalls?.[0]?.args?.[0]?.value, 0xffffffffffffffffn);
});

test("fields that container engines write as null are taken", (t) => {
  t.notThrows(() => parseSeccompProfile(text('"args":null,"includes":{},"excludes":null')));
});

test("every wrong field is named at once", (t) => {
  const wrong = text('"args":[{"index":6,"value":-1,"op":"SCMP_CMP_EQ"}],"colour":"red"');
  const error = t.throws(() => parseSeccompProfile(wrong));
  t.regex(error.message, /syscalls\.0\.args\.0\.index: /);
  t.regex(error.message, /syscalls\.0\.args\.0\.value: 0 to 2\^64-1 is expected/);
  t.regex(error.message, /colour/);
});

test("two conditions on one argument are refused, because they are read in two ways", (t) => {
  const twice = text(
    '"args":[{"index":0,"value":1,"op":"SCMP_CMP_NE"},{"index":0,"value":2,"op":"SCMP_CMP_NE"}]',
  );
  t.throws(() => parseSeccompProfile(twice), { message: /write two rules/ });
});

test("a profile that asks for a listener is refused: there is none", (t) => {
  t.throws(() => parseSeccompProfile('{"defaultAction":"SCMP_ACT_NOTIFY"}'), {
    message: /nobody listens for SCMP_ACT_NOTIFY/,
  });
});

test("text that is not JSON is refused", (t) => {
  t.throws(() => parseSeccompProfile("{"), { message: /because it is not JSON/ });
});
