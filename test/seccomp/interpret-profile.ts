/** What a profile says of one call, read straight from its text: the slow twin that compiled programs are held against. */
import { constants } from "node:os";
import type { SeccompCondition, SeccompProfile } from "../../runtime/seccomp/profile.ts";
import { type Architecture, syscallNumbers } from "../../runtime/seccomp/syscall-numbers.ts";

export type Call = {
  readonly number: number;
  readonly arguments: readonly bigint[];
};

export type Circumstances = {
  readonly architecture: Architecture;
  /** With `CAP_`. */
  readonly capabilities: readonly string[];
  readonly kernel: readonly [major: number, minor: number];
};

/** `allow`, `kill`, or `errno N` and the like. */
export function interpretProfile(
  profile: SeccompProfile,
  call: Call,
  where: Circumstances,
): string {
  if (where.architecture === "x86_64" && call.number >= 0x40000000) {
    return `errno ${constants.errno.ENOSYS}`;
  }
  const name = nameOf(call.number, where.architecture);
  for (const rule of profile.syscalls ?? []) {
    if (name === undefined || !rule.names?.includes(name)) continue;
    const { includes, excludes } = rule;
    const arch = where.architecture === "x86_64" ? "amd64" : "arm64";
    if (includes?.caps?.some((cap) => !where.capabilities.includes(cap))) continue;
    if (includes?.arches?.length && !includes.arches.includes(arch)) continue;
    if (includes?.minKernel && !reaches(where.kernel, includes.minKernel)) continue;
    if (excludes?.caps?.some((cap) => where.capabilities.includes(cap))) continue;
    if (excludes?.arches?.includes(arch)) continue;
    if (excludes?.minKernel && reaches(where.kernel, excludes.minKernel)) continue;
    if (!(rule.args ?? []).every((condition) => holds(condition, call.arguments))) continue;
    return describe(rule.action, rule.errnoRet);
  }
  return describe(profile.defaultAction, profile.defaultErrnoRet);
}

/** The same words for the value that a filter returned. */
export function describeResult(result: number): string {
  const data = result & 0xffff;
  switch ((result & 0xffff0000) >>> 0) {
    case 0x7fff0000:
      return "allow";
    case 0x7ffc0000:
      return "log";
    case 0x7fc00000:
      return "notify";
    case 0x7ff00000:
      return `trace ${data}`;
    case 0x00050000:
      return `errno ${data}`;
    case 0x00030000:
      return "trap";
    case 0x80000000:
      return "kill process";
    case 0:
      return "kill";
    default:
      return `unknown 0x${result.toString(16)}`;
  }
}

function describe(action: string, errno: number | null | undefined): string {
  const short = action.replace("SCMP_ACT_", "").toLowerCase().replace("_", " ");
  if (short === "errno" || short === "trace") return `${short} ${errno ?? constants.errno.EPERM}`;
  return short === "kill thread" ? "kill" : short;
}

function holds(condition: SeccompCondition, callArguments: readonly bigint[]): boolean {
  const actual = callArguments[condition.index] ?? 0n;
  const { value } = condition;
  const verdicts = {
    SCMP_CMP_EQ: actual === value,
    SCMP_CMP_NE: actual !== value,
    SCMP_CMP_LT: actual < value,
    SCMP_CMP_LE: actual <= value,
    SCMP_CMP_GT: actual > value,
    SCMP_CMP_GE: actual >= value,
    SCMP_CMP_MASKED_EQ: (actual & value) === (condition.valueTwo ?? 0n),
  };
  return verdicts[condition.op];
}

function reaches(kernel: readonly [number, number], least: string): boolean {
  const [major = 0, minor = 0] = least.split(".").map(Number);
  return kernel[0] !== major ? kernel[0] > major : kernel[1] >= minor;
}

function nameOf(number: number, architecture: Architecture): string | undefined {
  for (const [name, known] of syscallNumbers(architecture)) if (known === number) return name;
  return undefined;
}
