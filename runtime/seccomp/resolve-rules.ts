/** From a profile to what is decided for each system call number of one architecture. */
import { constants } from "node:os";
import { capabilityName } from "../plan/capabilities.ts";
import type { SeccompCondition, SeccompFilter, SeccompProfile, SeccompRule } from "./profile.ts";
import { type Architecture, syscallNumbers } from "./syscall-numbers.ts";

/** What decides which rules of a profile apply. */
export type SeccompContext = {
  readonly architecture: Architecture;
  /** Capabilities of the container, with or without `CAP_`. */
  readonly capabilities: readonly string[];
  /** As `uname -r` prints it. */
  readonly kernel: string;
  /**
   * Calls whose numbers are above every one that the profile names are younger than it. Where its default is an errno that
   * nobody chose they get ENOSYS, so that a libc falls back to what the profile knows.
   */
  readonly refusesYounger?: boolean;
};

/** One alternative of a decision: all conditions hold -> this SECCOMP_RET_* value. */
export type Alternative = {
  readonly conditions: readonly SeccompCondition[];
  readonly result: number;
};

/** The first alternative that matches decides; the last one has no conditions. */
export type Decision = readonly Alternative[];

/** Numbers from `first` up to the next range's first share a decision. */
export type NumberRange = { readonly first: number; readonly decision: Decision };

/** __X32_SYSCALL_BIT of `asm/unistd.h`: 64-bit programs reach the x32 table with it. */
const x32Bit = 0x40000000;
const architectureNames = { x86_64: "amd64", aarch64: "arm64" } as const;
const errno = constants.errno;

// SECCOMP_RET_* of linux/seccomp.h.
const resultBases = {
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
} as const;

export const killProcess = resultBases.SCMP_ACT_KILL_PROCESS;

/**
 * Ranges of numbers in ascending order, the first from 0; neighbours differ. Names that the architecture does not
 * have are passed over, as every runtime does, since profiles are written for many architectures.
 */
export function resolveRules(
  profile: SeccompProfile,
  context: SeccompContext,
): readonly NumberRange[] {
  const fallback: Alternative = { conditions: [], result: defaultResult(profile) };
  const held = new Set<string>(context.capabilities.map(capabilityName));
  const decisions = new Map<number, Alternative[]>();
  for (const rule of profile.syscalls ?? []) {
    if (!applies(rule, context, held)) continue;
    for (const number of ruleNumbers(rule, context.architecture)) {
      const alternatives = decisions.get(number) ?? [];
      alternatives.push({ conditions: rule.args ?? [], result: ruleResult(rule) });
      decisions.set(number, alternatives);
    }
  }
  const isChosen = profile.defaultErrnoRet != null || profile.defaultErrno !== undefined;
  const hasYounger =
    context.refusesYounger === true && profile.defaultAction === "SCMP_ACT_ERRNO" && !isChosen;
  return toRanges(decisions, context.architecture, {
    fallback,
    younger: hasYounger && decisions.size > 0 ? notImplemented : fallback,
  });
}

/** Equal decisions have equal keys. */
export function decisionKey(decision: Decision): string {
  return decision
    .map(({ conditions, result }) => {
      const tests = conditions.map(
        ({ index, op, value, valueTwo }) => `${index}${op}${value},${valueTwo ?? 0n}`,
      );
      return `${tests.join("&")}>${result}`;
    })
    .join("|");
}

function defaultResult(profile: SeccompProfile): number {
  return toResult(profile.defaultAction, profile.defaultErrnoRet, profile.defaultErrno);
}

function ruleResult(rule: SeccompRule): number {
  return toResult(rule.action, rule.errnoRet, rule.errno);
}

function toResult(
  action: SeccompRule["action"],
  number: number | null | undefined,
  name: string | undefined,
): number {
  const base = resultBases[action];
  if (action !== "SCMP_ACT_ERRNO" && action !== "SCMP_ACT_TRACE") return base;
  const named = Object.entries(errno).find(([known]) => known === name)?.[1];
  return base + (number ?? named ?? errno.EPERM);
}

function applies(rule: SeccompRule, context: SeccompContext, held: ReadonlySet<string>): boolean {
  const { includes, excludes } = rule;
  if (includes && !filterParts(includes, context, held).every((part) => part)) return false;
  return !(excludes && filterParts(excludes, context, held).some((part) => part));
}

/** One answer for each capability and for each other field that is present. */
function filterParts(
  filter: SeccompFilter,
  context: SeccompContext,
  held: ReadonlySet<string>,
): readonly boolean[] {
  const parts = (filter.caps ?? []).map((name) => held.has(name.replace(/^CAP_/, "")));
  if (filter.arches?.length) {
    parts.push(filter.arches.includes(architectureNames[context.architecture]));
  }
  if (filter.minKernel) parts.push(kernelAtLeast(context.kernel, filter.minKernel));
  return parts;
}

function kernelAtLeast(kernel: string, least: string): boolean {
  const [major = 0, minor = 0] = versionNumbers(kernel);
  const [leastMajor = 0, leastMinor = 0] = versionNumbers(least);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

function versionNumbers(text: string): readonly number[] {
  const match = /^(\d+)\.(\d+)/.exec(text);
  if (!match) {
    throw new Error(
      `cannot compare kernel version ${JSON.stringify(text)}: one that begins like 6.1 is expected`,
    );
  }
  return [Number(match[1]), Number(match[2])];
}

function ruleNumbers(rule: SeccompRule, architecture: Architecture): ReadonlySet<number> {
  const table = syscallNumbers(architecture);
  const names = [...(rule.names ?? []), ...(rule.name === undefined ? [] : [rule.name])];
  const found = new Set<number>();
  for (const name of names) {
    const number = table.get(name);
    if (number !== undefined) found.add(number);
  }
  return found;
}

const notImplemented: Alternative = {
  conditions: [],
  result: resultBases.SCMP_ACT_ERRNO + errno.ENOSYS,
};

function toRanges(
  decisions: ReadonlyMap<number, readonly Alternative[]>,
  architecture: Architecture,
  { fallback, younger }: { readonly fallback: Alternative; readonly younger: Alternative },
): readonly NumberRange[] {
  const ranges: NumberRange[] = [];
  let lastKey = "";
  const append = (first: number, decision: Decision): void => {
    const key = decisionKey(decision);
    if (key === lastKey) return;
    ranges.push({ first, decision });
    lastKey = key;
  };
  let next = 0;
  for (const number of [...decisions.keys()].sort((a, b) => a - b)) {
    if (number > next) append(next, [fallback]);
    append(number, untilCertain([...(decisions.get(number) ?? []), fallback]));
    next = number + 1;
  }
  append(next, [younger]);
  // Whatever the profile's default is, the second table of x86_64 stays closed: no rule looks at its numbers.
  if (architecture === "x86_64") {
    append(x32Bit, [notImplemented]);
  }
  return ranges;
}

/** Drops what comes after an alternative without conditions, and alternatives that change nothing before it. */
function untilCertain(alternatives: readonly Alternative[]): Decision {
  const certain = alternatives.findIndex(({ conditions }) => conditions.length === 0);
  const decision = alternatives.slice(0, certain + 1);
  while (decision.length > 1 && decision.at(-2)?.result === decision.at(-1)?.result) {
    decision.splice(-2, 1);
  }
  return decision;
}
