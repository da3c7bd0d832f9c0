import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, release, tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { capabilityBits, defaultCapabilities } from "../../runtime/plan/capabilities.ts";
import { compileSeccomp } from "../../runtime/seccomp/compile-seccomp.ts";
import { defaultSeccompProfile } from "../../runtime/seccomp/default-profile.ts";
import { SeccompProfile } from "../../runtime/seccomp/profile.ts";
import { resolveRules } from "../../runtime/seccomp/resolve-rules.ts";
import { syscallNumbers } from "../../runtime/seccomp/syscall-numbers.ts";
import { decodeProgram, runProgram } from "./bpf-emulator.ts";

const architecture = process.arch === "arm64" ? "aarch64" : "x86_64";
const compiler = process.env.CC ?? "cc";
const directory = mkdtempSync(join(tmpdir(), "bt-seccomp-"));
const { EPERM, ENOSYS, EAFNOSUPPORT } = constants.errno;

test.after.always(() => rmSync(directory, { recursive: true, force: true }));

/** Path of the compiled program, or undefined when the test is to be skipped. */
function built(t: ExecutionContext, name: string, ...flags: string[]): string | undefined {
  const output = join(directory, `${name}-${flags.length}`);
  const source = new URL(`programs/${name}.c`, import.meta.url).pathname;
  const result = spawnSync(compiler, ["-O1", "-o", output, source, ...flags], { encoding: "utf8" });
  if (result.status === 0) return output;
  const reason = `cannot compile ${name}: ${result.error?.message ?? result.stderr.split("\n")[0]}`;
  t.log(`skipped: ${reason}`);
  // libseccomp is there to compare with, not to work with.
  if (process.env.MUST_WORK === "1" && flags.length === 0) t.fail(reason);
  else t.pass();
  return undefined;
}

function underFilter(launcher: string, ...command: string[]): SpawnSyncReturns<string> {
  const input = compileSeccomp({
    profile: defaultSeccompProfile,
    architecture,
    capabilities: defaultCapabilities,
    kernel: release(),
  });
  return spawnSync(launcher, command, { input, encoding: "utf8" });
}

test("the kernel takes the default filter, and ordinary programs run under it", (t) => {
  const launcher = built(t, "with-filter");
  if (launcher === undefined) return;
  const shell = underFilter(
    launcher,
    "sh",
    "-c",
    "ls -l / | sort | head -1 >/dev/null; echo $((6 * 7))",
  );
  t.deepEqual([shell.stdout, shell.status], ["42\n", 0], shell.stderr);
  const threads =
    "new (require('worker_threads').Worker)('require(\"net\").createServer().listen(0, function () {" +
    ' console.log("listens"); this.close(); })\', { eval: true })';
  const node = underFilter(launcher, process.execPath, "-e", threads);
  t.deepEqual([node.stdout, node.status], ["listens\n", 0], node.stderr);
});

test("the kernel refuses what the default profile refuses, with the errno it names", (t) => {
  const launcher = built(t, "with-filter");
  const caller = built(t, "try-calls");
  if (launcher === undefined || caller === undefined) return;
  const cases: readonly (readonly [
    name: string | number,
    args: readonly number[],
    wanted: number,
  ])[] = [
    ["getppid", [], 0],
    ["unshare", [0x10000000], EPERM],
    ["keyctl", [0, -3, 0], EPERM],
    ["bpf", [], EPERM],
    ["clone3", [], ENOSYS],
    ["socket", [38, 5, 0], EAFNOSUPPORT],
    ["socket", [1, 1, 0], 0],
    ["socket", [16, 3, 0], 0],
    ["ioctl", [0, 0x5412, 0], EPERM],
    ["personality", [0xffffffff], 0],
    ["personality", [0x40000], EPERM],
    [500, [], ENOSYS],
    ...(architecture === "x86_64" ? ([[0x40000027, [], ENOSYS]] as const) : []),
  ];
  const argv = cases.flatMap(([name, args]) => {
    const number = typeof name === "number" ? name : syscallNumbers(architecture).get(name);
    return [number ?? -1, args[0] ?? 0, args[1] ?? 0, args[2] ?? 0].map(String);
  });
  const result = underFilter(launcher, caller, ...argv);
  const found = result.stdout.trim().split("\n").map(Number);
  t.deepEqual(
    cases.map(([name, args], at) => [name, args, found[at]]),
    cases.map(([name, args, wanted]) => [name, args, wanted]),
    result.stderr,
  );
});

test("a call through the i386 entry ends the process", (t) => {
  const launcher = built(t, "with-filter");
  const foreign = built(t, "i386-call");
  if (launcher === undefined || foreign === undefined) return;
  if (architecture !== "x86_64") {
    t.pass("there is no i386 entry");
    return;
  }
  t.is(underFilter(launcher, foreign).signal, "SIGSYS");
});

// enum scmp_compare
const operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];

test("libseccomp compiles the default profile to a filter that decides the same", (t) => {
  const exporter = built(t, "export-rules", "-lseccomp");
  if (exporter === undefined) return;
  const names = new Map([...syscallNumbers(architecture)].map(([name, number]) => [number, name]));
  for (const capabilities of [defaultCapabilities, [...capabilityBits.keys()]]) {
    const context = { architecture, capabilities, kernel: release() } as const;
    const profile = withoutOverlaps(defaultSeccompProfile);
    const ranges = resolveRules(profile, context);
    const fallback = ranges.at(-1)?.decision[0]?.result ?? 0;
    const lines = [`default ${fallback}`];
    for (const [number, name] of names) {
      const range = ranges.findLast(({ first }) => first <= number);
      for (const { conditions, result } of range?.decision ?? []) {
        // libseccomp refuses a rule that says what the default says.
        if (result === fallback) continue;
        const tests = conditions.map(
          ({ index, op, value, valueTwo }) =>
            `${index} ${operators.indexOf(op.slice(9)) + 1} ${value} ${valueTwo ?? 0n}`,
        );
        lines.push(["rule", result, name, ...tests].join(" "));
      }
    }
    const theirs = spawnSync(exporter, { input: `${lines.join("\n")}\n`, maxBuffer: 1 << 24 });
    t.is(theirs.status, 0, theirs.stderr.toString());
    const ours = compileSeccomp({ profile, ...context });
    t.log(`instructions: ${ours.length / 8}, libseccomp ${theirs.stdout.length / 8}`);
    const unknown = theirs.stderr
      .toString()
      .split("\n")
      .map((name) => syscallNumbers(architecture).get(name));
    const numbers = [...Array(1024).keys()].filter((number) => !unknown.includes(number));
    compare(t, numbers, decodeProgram(ours), decodeProgram(theirs.stdout));
  }
});

/** Where an unconditional rule follows others, libseccomp lets it win; we let the first that matches win. */
function withoutOverlaps(profile: SeccompProfile): SeccompProfile {
  const conditional = new Set(
    (profile.syscalls ?? []).flatMap((rule) => (rule.args?.length ? (rule.names ?? []) : [])),
  );
  return SeccompProfile.parse({
    ...profile,
    syscalls: (profile.syscalls ?? []).flatMap((rule) => {
      const names = (rule.names ?? []).filter(
        (name) => rule.args?.length || !conditional.has(name),
      );
      return rule.action === "SCMP_ACT_ERRNO" && rule.args?.length ? [] : [{ ...rule, names }];
    }),
  });
}

function compare(
  t: ExecutionContext,
  numbers: readonly number[],
  ours: ReturnType<typeof decodeProgram>,
  theirs: ReturnType<typeof decodeProgram>,
): void {
  const audit = architecture === "x86_64" ? 0xc000003e : 0xc00000b7;
  const words = [
    0n,
    1n,
    2n,
    3n,
    8n,
    9n,
    10n,
    16n,
    17n,
    0x20000n,
    0x5412n,
    0x7e020011n,
    0xffffffffn,
    1n << 40n,
  ];
  const found: string[] = [];
  for (const number of numbers) {
    for (const first of words) {
      for (const third of [0n, 9n, 16n]) {
        const data = { number, architecture: audit, arguments: [first, first, third, 0n, 0n, 0n] };
        const [mine, other] = [runProgram(ours, data), runProgram(theirs, data)];
        if (mine !== other) found.push(`${number}(${first}, ${third}): ${mine}, theirs ${other}`);
      }
    }
  }
  t.deepEqual(found.slice(0, 10), []);
}
