import { constants } from "node:os";
import { fc, testProp } from "@fast-check/ava";
import test from "ava";
import { capabilityBits, defaultCapabilities } from "../../runtime/plan/capabilities.ts";
import { compileSeccomp } from "../../runtime/seccomp/compile-seccomp.ts";
import { defaultSeccompProfile } from "../../runtime/seccomp/default-profile.ts";
import { SeccompProfile } from "../../runtime/seccomp/profile.ts";
import { type Architecture, syscallNumbers } from "../../runtime/seccomp/syscall-numbers.ts";
import { decodeProgram, runProgram } from "./bpf-emulator.ts";
import { type Call, describeResult, interpretProfile } from "./interpret-profile.ts";

const auditArchitectures = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };
const architectures = ["x86_64", "aarch64"] as const;
const { ENOSYS } = constants.errno;

type Setting = {
  readonly profile: SeccompProfile;
  readonly architecture: Architecture;
  readonly capabilities: readonly string[];
};

/** Arguments around every value that the profile's conditions name, one argument at a time and all together. */
function interestingArguments(profile: SeccompProfile): readonly (readonly bigint[])[] {
  const words = new Set<bigint>([0n, 1n, 1n << 32n, (1n << 64n) - 1n]);
  for (const rule of profile.syscalls ?? []) {
    for (const { value, valueTwo } of rule.args ?? []) {
      for (const word of [value, valueTwo ?? 0n]) {
        words.add(word);
        words.add((word + 1n) & ((1n << 64n) - 1n));
        words.add((word - 1n) & ((1n << 64n) - 1n));
        words.add(word ^ (1n << 32n));
        words.add(word | (1n << 63n));
      }
    }
  }
  const cases: bigint[][] = [];
  for (const word of words) {
    cases.push(Array.from({ length: 6 }, () => word));
    for (let index = 0; index < 3; index++) {
      const one = Array.from({ length: 6 }, () => 0n);
      one[index] = word;
      cases.push(one);
    }
    // Pairs that the socket rules tell apart: the family with each protocol.
    cases.push([16n, 3n, word, 0n, 0n, 0n], [word, 3n, 9n, 0n, 0n, 0n]);
  }
  return cases;
}

function differences(setting: Setting, numbers: Iterable<number>): readonly string[] {
  const { profile, architecture, capabilities } = setting;
  const program = decodeProgram(compileSeccomp({ ...setting, kernel: "5.10.0-28-amd64" }));
  const where = {
    architecture,
    capabilities: capabilities.map((name) => `CAP_${name}`),
    kernel: [5, 10] as const,
  };
  const named = new Set(
    (profile.syscalls ?? [])
      .filter((rule) => rule.args?.length)
      .flatMap((rule) => rule.names ?? [])
      .map((name) => syscallNumbers(architecture).get(name)),
  );
  const cases = interestingArguments(profile);
  const found: string[] = [];
  for (const number of numbers) {
    for (const callArguments of named.has(number) ? cases : cases.slice(0, 3)) {
      const call: Call = { number, arguments: callArguments };
      const data = { ...call, architecture: auditArchitectures[architecture] };
      const actual = describeResult(runProgram(program, data));
      const wanted = interpretProfile(profile, call, where);
      if (actual !== wanted) found.push(`${number}(${callArguments}): ${actual}, not ${wanted}`);
    }
  }
  return found;
}

function* allNumbers(): Generator<number> {
  for (let number = 0; number < 1024; number++) {
    yield number;
    yield 0x40000000 + number;
  }
  yield* [0x3fffffff, 0x7fffffff, 0x80000000, 0xffffffff];
}

for (const architecture of architectures) {
  for (const capabilities of [[], defaultCapabilities, [...capabilityBits.keys()]]) {
    test(`the compiled default profile says what its text says: ${architecture}, ${capabilities.length} capabilities`, (t) => {
      const setting = { profile: defaultSeccompProfile, architecture, capabilities };
      t.deepEqual(differences(setting, allNumbers()), []);
    });
  }
}

const word = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.constantFrom(0n, 1n, 0xffffffffn, 1n << 32n, (1n << 64n) - 1n, 0x7fffffffn, 0x80000000n),
);
const condition = fc.record({
  value: word,
  valueTwo: word,
  op: fc.constantFrom(
    ...(["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"] as const).map(
      (op) => `SCMP_CMP_${op}` as const,
    ),
  ),
});
const action = fc.constantFrom(
  ...(["ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "TRAP", "TRACE", "LOG", "NOTIFY"] as const).map(
    (name) => `SCMP_ACT_${name}` as const,
  ),
);
const filter = fc.record(
  {
    caps: fc.subarray(["CAP_SYS_ADMIN", "CAP_CHOWN"]),
    arches: fc.subarray(["amd64", "arm64", "s390x"]),
    minKernel: fc.constantFrom("4.8", "5.10", "5.11", "6.1"),
  },
  { requiredKeys: [] },
);
const names = [...syscallNumbers("x86_64").keys(), "chown32", "no_such_call"];
const rule = fc.record(
  {
    names: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 60 }),
    action,
    errnoRet: fc.integer({ min: 0, max: 4095 }),
    args: fc
      .tuple(
        fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { maxLength: 3 }),
        fc.array(condition, { minLength: 3, maxLength: 3 }),
      )
      .map(([indexes, conditions]) =>
        indexes.flatMap((index, at) => {
          const chosen = conditions[at];
          return chosen ? [{ ...chosen, index }] : [];
        }),
      ),
    includes: filter,
    excludes: filter,
  },
  { requiredKeys: ["names", "action"] },
);
const profile = fc
  .record(
    {
      defaultAction: action,
      defaultErrnoRet: fc.integer({ min: 0, max: 4095 }),
      syscalls: fc.array(rule, { maxLength: 12 }),
    },
    { requiredKeys: ["defaultAction", "syscalls"] },
  )
  .map((input) => SeccompProfile.parse(input));

testProp(
  "any profile compiles to a program that says what its text says",
  [profile, fc.constantFrom(...architectures), fc.subarray(["SYS_ADMIN", "CHOWN"])],
  (t, generated, architecture, capabilities) => {
    const named = (generated.syscalls ?? []).flatMap((one) => one.names ?? []);
    const numbers = new Set(named.flatMap((name) => syscallNumbers(architecture).get(name) ?? []));
    const around = [...numbers].flatMap((number) => [number, number + 1, 0x40000000 + number]);
    t.deepEqual(differences({ profile: generated, architecture, capabilities }, around), []);
  },
  { numRuns: 60 },
);

test("a program too long for one-byte jumps still reaches every rule", (t) => {
  const many = SeccompProfile.parse({
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [...syscallNumbers("x86_64").keys()].map((name, at) => ({
      names: [name],
      action: "SCMP_ACT_ERRNO",
      errnoRet: 200 + at,
      args: [{ index: at % 6, value: at, op: "SCMP_CMP_GT" as const }],
    })),
  });
  const setting = { profile: many, architecture: "x86_64" as const, capabilities: [] };
  t.true(compileSeccomp({ ...setting, kernel: "6.1" }).length / 8 > 1000);
  const program = decodeProgram(compileSeccomp({ ...setting, kernel: "6.1" }));
  for (const [name, number] of syscallNumbers("x86_64")) {
    const data = {
      number,
      architecture: auditArchitectures.x86_64,
      arguments: Array.from({ length: 6 }, () => 1n << 40n),
    };
    const wanted = interpretProfile(many, data, { ...setting, kernel: [6, 1] });
    t.is(describeResult(runProgram(program, data)), wanted, name);
  }
});

test("a profile with more conditions than a filter may have is refused", (t) => {
  const huge = SeccompProfile.parse({
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: Array.from({ length: 2000 }, (_, at) => ({
      names: ["ioctl"],
      action: "SCMP_ACT_ALLOW" as const,
      args: [{ index: 1, value: at, op: "SCMP_CMP_EQ" as const }],
    })),
  });
  t.throws(
    () =>
      compileSeccomp({ profile: huge, architecture: "x86_64", capabilities: [], kernel: "6.1" }),
    {
      message: /the kernel takes 4096/,
    },
  );
});

test("a call through a foreign architecture's table ends the process", (t) => {
  const program = decodeProgram(
    compileSeccomp({
      profile: defaultSeccompProfile,
      architecture: "x86_64",
      capabilities: [...capabilityBits.keys()],
      kernel: "6.18",
    }),
  );
  for (const architecture of [0x40000003, 0xc00000b7, 0x40000028, 0]) {
    const data = { number: 1, architecture, arguments: [] };
    t.is(describeResult(runProgram(program, data)), "kill process");
  }
});

test("x32 calls do not exist, even under a profile that allows everything", (t) => {
  const open = SeccompProfile.parse({ defaultAction: "SCMP_ACT_ALLOW" });
  const setting = { profile: open, architecture: "x86_64" as const, capabilities: [] };
  const program = decodeProgram(compileSeccomp({ ...setting, kernel: "6.18" }));
  const says = (number: number): string =>
    describeResult(
      runProgram(program, { number, architecture: auditArchitectures.x86_64, arguments: [] }),
    );
  t.is(says(1), "allow");
  t.is(says(0x40000001), `errno ${ENOSYS}`);
  t.is(says(0xffffffff), `errno ${ENOSYS}`);
});

test("the caller owns the bytes: changing them does not change the next program", (t) => {
  const options = {
    profile: defaultSeccompProfile,
    architecture: "x86_64" as const,
    capabilities: defaultCapabilities,
    kernel: "6.18",
  };
  const first = compileSeccomp(options);
  first.fill(0);
  t.notDeepEqual(compileSeccomp(options), first);
});

test("calls younger than a profile get ENOSYS where its default is nobody's choice", (t) => {
  const syscalls = [{ names: ["read", "openat2"], action: "SCMP_ACT_ALLOW" }];
  const resultOf = (profile: object, number: number) => {
    const program = compileSeccomp({
      profile: SeccompProfile.parse(profile),
      architecture: "x86_64",
      capabilities: [],
      kernel: "6.1.0",
      refusesYounger: true,
    });
    const call = { number, architecture: auditArchitectures.x86_64, arguments: [] };
    return describeResult(runProgram(decodeProgram(program), call));
  };
  const unnamed = { defaultAction: "SCMP_ACT_ERRNO", syscalls };
  t.is(resultOf(unnamed, 1000), "errno 38");
  t.is(resultOf(unnamed, 1), "errno 1");
  t.is(resultOf({ ...unnamed, defaultErrnoRet: 1 }, 1000), "errno 1");
  t.is(resultOf({ ...unnamed, defaultAction: "SCMP_ACT_LOG" }, 1000), "log");
});
