import test from "ava";
import fc from "fast-check";
import { deviceFilter, deviceWrites } from "../../runtime/cgroups/cgroup-devices.ts";
import { deviceProgram } from "../../runtime/cgroups/device-program.ts";
import { type DeviceRule, defaultDeviceRules } from "../../runtime/cgroups/device-rules.ts";
import { containerDevices } from "../../runtime/plan/default-mounts.ts";
import { type DeviceRequest, runDeviceProgram } from "./device-machine.ts";

const [block, character] = [1, 2];
const [makeNode, read, write] = [1, 2, 4];
const readWrite = read | write;

test("a container opens its own devices and terminals, and nothing else", (t) => {
  const program = deviceProgram(defaultDeviceRules(containerDevices));
  const opens = (type: number, major: number, minor: number) =>
    runDeviceProgram(program, { type, access: readWrite, major, minor }) === 1;
  for (const [name, major, minor] of containerDevices) t.true(opens(character, major, minor), name);
  t.true(opens(character, 5, 2));
  t.true(opens(character, 136, 0));
  t.true(opens(character, 136, 1_000_000));
  t.false(opens(character, 1, 1), "mem");
  t.false(opens(character, 1, 11), "kmsg");
  t.false(opens(character, 10, 200), "tun");
  t.false(opens(block, 1, 3), "a disk with the numbers of null");
  t.false(opens(block, 254, 0));
});

test("a rule allows no more accesses than it names", (t) => {
  const rule: DeviceRule = {
    ...{ type: "block", major: 8, minor: 0, read: true, write: false, makeNode: true },
  };
  const program = deviceProgram([rule]);
  const asks = (access: number) =>
    runDeviceProgram(program, { type: block, access, major: 8, minor: 0 });
  t.deepEqual([read, makeNode, read | makeNode, write, readWrite].map(asks), [1, 1, 1, 0, 0]);
});

test("without a rule every device is refused", (t) => {
  const request = { type: character, access: read, major: 1, minor: 3 };
  t.is(runDeviceProgram(deviceProgram([]), request), 0);
});

test("a program says what its rules say, for any rules and requests", (t) => {
  const number = fc.integer({ min: 0, max: 3 });
  const orAny = fc.option(number, { nil: undefined });
  const rules = fc.array(
    fc.record<DeviceRule>({
      type: fc.constantFrom("character", "block", "all"),
      major: orAny,
      minor: orAny,
      read: fc.boolean(),
      write: fc.boolean(),
      makeNode: fc.boolean(),
    }),
    { maxLength: 6 },
  );
  const request = fc.record<DeviceRequest>({
    type: fc.constantFrom(block, character),
    access: fc.integer({ min: 1, max: 7 }),
    major: number,
    minor: number,
  });
  fc.assert(
    fc.property(rules, request, (some, asked) => {
      const expected = some.some((rule) => allows(rule, asked)) ? 1 : 0;
      return runDeviceProgram(deviceProgram(some), asked) === expected;
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test("a host with the v1 devices controller gets lines, one without gets a program", (t) => {
  const rules = defaultDeviceRules([["null", 1, 3]]);
  const unified = "/sys/fs/cgroup";
  const v1 = { v1: new Map([["devices", "/d"]]), unified, unifiedControllers: new Set<string>() };
  const v2 = { v1: new Map(), unified, unifiedControllers: new Set<string>() };
  t.deepEqual(
    deviceWrites(v1, "/x", rules).map(({ path, value }) => `${path} ${value}`),
    [
      "/d/x/devices.deny a",
      "/d/x/devices.allow c 1:3 rwm",
      "/d/x/devices.allow c 5:2 rwm",
      "/d/x/devices.allow c 136:* rwm",
    ],
  );
  t.is(deviceFilter(v1, rules), undefined);
  t.deepEqual(deviceWrites(v2, "/x", rules), []);
  t.deepEqual(deviceFilter(v2, rules), deviceProgram(rules));
});

function allows(rule: DeviceRule, asked: DeviceRequest): boolean {
  const type = { all: asked.type, block, character }[rule.type];
  const accesses =
    (rule.makeNode ? makeNode : 0) | (rule.read ? read : 0) | (rule.write ? write : 0);
  return (
    type === asked.type &&
    (asked.access & ~accesses) === 0 &&
    (rule.major ?? asked.major) === asked.major &&
    (rule.minor ?? asked.minor) === asked.minor
  );
}
