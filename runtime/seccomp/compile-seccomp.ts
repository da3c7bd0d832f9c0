/** From a seccomp profile to the BPF program that the kernel runs on every system call of a container. */
import { createHash } from "node:crypto";
import { BpfAssembler, type Label } from "./bpf-assembler.ts";
import type { SeccompCondition, SeccompProfile } from "./profile.ts";
import {
  type Decision,
  decisionKey,
  killProcess,
  type NumberRange,
  resolveRules,
  type SeccompContext,
} from "./resolve-rules.ts";

export type CompileOptions = SeccompContext & { readonly profile: SeccompProfile };

// linux/audit.h: AUDIT_ARCH_*
const auditArchitectures = { x86_64: 0xc000003e, aarch64: 0xc00000b7 } as const;

// struct seccomp_data: nr, arch, instruction_pointer, args[6]
const numberOffset = 0;
const architectureOffset = 4;
const argumentOffset = (index: number): number => 16 + 8 * index;

const cacheEntriesMax = 64;
const cache = new Map<string, Uint8Array>();

/**
 * `struct sock_filter[]` in little-endian order, ready for seccomp(2). A call made through another architecture's table
 * (i386 on x86_64, arm on aarch64) ends the process: its program could not even exit if calls were refused.
 * Programs are kept by the hash of all that decides them; the caller owns the bytes it gets.
 */
export function compileSeccomp(options: CompileOptions): Uint8Array {
  const key = cacheKey(options);
  let program = cache.get(key);
  if (!program) {
    program = assemble(resolveRules(options.profile, options), options);
    const oldest = cache.keys().next();
    if (cache.size >= cacheEntriesMax && !oldest.done) cache.delete(oldest.value);
    cache.set(key, program);
  }
  return program.slice();
}

function cacheKey(options: CompileOptions): string {
  const text = JSON.stringify(options, (_key, value: unknown) =>
    typeof value === "bigint" ? `${value}` : value,
  );
  return createHash("sha256").update(text).digest("base64");
}

function assemble(ranges: readonly NumberRange[], context: SeccompContext): Uint8Array {
  const assembler = new BpfAssembler();
  const tree = writeTree(assembler, ranges, writeDecisions(assembler, ranges));
  const native = assembler.load(numberOffset, tree);
  const foreign = assembler.return(killProcess);
  const check = assembler.jump("equal", auditArchitectures[context.architecture], native, foreign);
  return assembler.finish(assembler.load(architectureOffset, check));
}

/** Decisions that look at arguments are written once each, behind the tree. */
function writeDecisions(
  assembler: BpfAssembler,
  ranges: readonly NumberRange[],
): ReadonlyMap<string, Label> {
  const labels = new Map<string, Label>();
  for (const { decision } of ranges) {
    const key = decisionKey(decision);
    if (decision.length > 1 && !labels.has(key))
      labels.set(key, writeDecision(assembler, decision));
  }
  return labels;
}

/** A balanced tree over the ranges: the accumulator holds the number. */
function writeTree(
  assembler: BpfAssembler,
  ranges: readonly NumberRange[],
  decisions: ReadonlyMap<string, Label>,
): Label {
  const [first] = ranges;
  if (!first) throw new Error("cannot compile a seccomp profile: a range of calls has no decision");
  if (ranges.length === 1) {
    const label = decisions.get(decisionKey(first.decision));
    return label ?? assembler.return(first.decision[0]?.result ?? killProcess);
  }
  const middle = ranges.length >> 1;
  const upper = writeTree(assembler, ranges.slice(middle), decisions);
  const lower = writeTree(assembler, ranges.slice(0, middle), decisions);
  return assembler.jump("greaterOrEqual", ranges[middle]?.first ?? 0, upper, lower);
}

function writeDecision(assembler: BpfAssembler, decision: Decision): Label {
  let next: Label | undefined;
  for (const { conditions, result } of decision.toReversed()) {
    const otherwise = next ?? assembler.return(killProcess);
    let matched = assembler.return(result);
    for (const condition of conditions.toReversed()) {
      matched = writeCondition(assembler, condition, matched, otherwise);
    }
    next = matched;
  }
  return next ?? assembler.return(killProcess);
}

/** Arguments are 64-bit words and the machine has 32 bits: the high half is looked at first, where it matters. */
function writeCondition(
  assembler: BpfAssembler,
  condition: SeccompCondition,
  matched: Label,
  otherwise: Label,
): Label {
  const { index, op, value } = condition;
  const [high, low] = halves(value);
  const lowOffset = argumentOffset(index);
  const highOffset = lowOffset + 4;
  const compareBoth = (strict: "greater" | "greaterOrEqual", above: Label, below: Label): Label => {
    const lower = assembler.load(lowOffset, assembler.jump(strict, low, above, below));
    const highEqual = assembler.jump("equal", high, lower, below);
    return assembler.load(highOffset, assembler.jump("greater", high, above, highEqual));
  };
  switch (op) {
    case "SCMP_CMP_EQ":
      return writeMaskedEqual(
        assembler,
        lowOffset,
        [0xffffffff, 0xffffffff],
        [high, low],
        matched,
        otherwise,
      );
    case "SCMP_CMP_NE":
      return writeMaskedEqual(
        assembler,
        lowOffset,
        [0xffffffff, 0xffffffff],
        [high, low],
        otherwise,
        matched,
      );
    case "SCMP_CMP_MASKED_EQ":
      return writeMaskedEqual(
        assembler,
        lowOffset,
        [high, low],
        halves(condition.valueTwo ?? 0n),
        matched,
        otherwise,
      );
    case "SCMP_CMP_GT":
      return compareBoth("greater", matched, otherwise);
    case "SCMP_CMP_GE":
      return compareBoth("greaterOrEqual", matched, otherwise);
    case "SCMP_CMP_LE":
      return compareBoth("greater", otherwise, matched);
    case "SCMP_CMP_LT":
      return compareBoth("greaterOrEqual", otherwise, matched);
    default:
      return op satisfies never;
  }
}

type Halves = readonly [high: number, low: number];

function writeMaskedEqual(
  assembler: BpfAssembler,
  lowOffset: number,
  mask: Halves,
  datum: Halves,
  matched: Label,
  otherwise: Label,
): Label {
  let next = matched;
  for (const [half, offset] of [
    [1, lowOffset],
    [0, lowOffset + 4],
  ] as const) {
    if (mask[half] === 0) {
      // Nothing of this half is compared; a datum with bits outside the mask can never be met.
      if (datum[half] !== 0) return otherwise;
      continue;
    }
    const test = assembler.jump("equal", datum[half], next, otherwise);
    const masked = mask[half] === 0xffffffff ? test : assembler.and(mask[half], test);
    next = assembler.load(offset, masked);
  }
  return next;
}

function halves(value: bigint): Halves {
  return [Number(value >> 32n), Number(value & 0xffffffffn)];
}
