/** A seccomp profile in the JSON form that container engines share (OCI runtime-spec `linux.seccomp` and its template). */
import { constants } from "node:os";
import { z } from "zod";
import { parseExactJson } from "../exact-json.ts";

const Action = z.enum([
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
]);

const Operator = z.enum([
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
]);

/** 64 bits without a sign; numbers beyond 2^53 must come as bigint, which `parseSeccompProfile` sees to. */
const Word = z
  .union([z.bigint(), z.int()])
  .transform((value) => BigInt(value))
  .refine((value) => value >= 0n && value < 1n << 64n, "0 to 2^64-1 is expected");

/** The kernel clamps errno values to MAX_ERRNO. */
const Errno = z.int().min(0).max(4095);
const ErrnoName = z
  .string()
  .refine((name) => name in constants.errno, "the name of an errno is expected");

const Condition = z.strictObject({
  index: z.int().min(0).max(5),
  value: Word,
  valueTwo: Word.optional(),
  op: Operator,
});

const Filter = z.strictObject({
  caps: z.array(z.string()).nullish(),
  arches: z.array(z.string()).nullish(),
  minKernel: z
    .string()
    .regex(/^\d+\.\d+$/)
    .nullish(),
});

const Rule = z
  .strictObject({
    name: z.string().optional(),
    names: z.array(z.string()).nullish(),
    action: Action,
    errnoRet: Errno.nullish(),
    errno: ErrnoName.optional(),
    args: z.array(Condition).nullish(),
    comment: z.string().optional(),
    includes: Filter.nullish(),
    excludes: Filter.nullish(),
  })
  .superRefine((rule, context) => {
    // Engines read several conditions on one argument as alternatives, the specification's text as a conjunction:
    // whichever is taken, some profile would come out weaker than its author meant.
    const indexes = (rule.args ?? []).map((condition) => condition.index);
    if (new Set(indexes).size !== indexes.length) {
      context.addIssue({
        code: "custom",
        path: ["args"],
        message: "one condition for each argument is expected: write two rules",
      });
    }
  });

/**
 * Rules of a call are tried in the order of the profile and the first that matches decides; all conditions of a rule
 * must hold. Calls that no rule matches get the default action. `architectures` and `archMap` are accepted and only
 * the native architecture is ever let in.
 */
export const SeccompProfile = z.strictObject({
  defaultAction: Action,
  defaultErrnoRet: Errno.nullish(),
  defaultErrno: ErrnoName.optional(),
  architectures: z.array(z.string()).nullish(),
  archMap: z
    .array(
      z.strictObject({
        architecture: z.string(),
        subArchitectures: z.array(z.string()).nullish(),
      }),
    )
    .nullish(),
  flags: z.array(z.string()).nullish(),
  syscalls: z.array(Rule).nullish(),
});
export type SeccompProfile = z.infer<typeof SeccompProfile>;
/** What may be written: conditions take numbers and bigints. */
export type SeccompProfileInput = z.input<typeof SeccompProfile>;
export type SeccompRule = z.infer<typeof Rule>;
export type SeccompCondition = z.infer<typeof Condition>;
export type SeccompFilter = z.infer<typeof Filter>;

/**
 * Reads a profile from JSON without losing bits of large numbers. Throws naming every field that is wrong, and where a
 * call is to be asked about: nobody listens.
 */
export function parseSeccompProfile(text: string): SeccompProfile {
  let value: unknown;
  try {
    value = parseExactJson(text);
  } catch (cause) {
    throw new Error("cannot read the seccomp profile because it is not JSON", { cause });
  }
  const parsed = SeccompProfile.safeParse(value);
  if (parsed.success) return refuseNotify(parsed.data);
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.map(String).join(".") || "profile"}: ${issue.message}`,
  );
  throw new Error(`cannot use the seccomp profile because ${problems.join("; ")}`);
}

function refuseNotify(profile: SeccompProfile): SeccompProfile {
  const actions = [profile.defaultAction, ...(profile.syscalls ?? []).map(({ action }) => action)];
  if (!actions.includes("SCMP_ACT_NOTIFY")) return profile;
  throw new Error(
    "cannot use the seccomp profile because nobody listens for SCMP_ACT_NOTIFY: use another action",
  );
}
