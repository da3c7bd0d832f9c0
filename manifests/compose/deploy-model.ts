import { z } from "zod";
import { quoteValue } from "../diagnostics.ts";
import { byKind, grammar, only, unsupported } from "./by-kind.ts";
import { Constraint } from "./placement.ts";
import { Cpus, Duration, KeyValues, SizeText, wholeNumber } from "./values.ts";

const replicasMax = 1000;
export const Replicas = wholeNumber({ min: 0, max: replicasMax });

/** 0 and -1 mean no limit. */
export const Pids = wholeNumber({ min: -1, max: 4_194_304 });

const Ratio = byKind({
  number: z.number().refine(isRatio, { error: "a number from 0 to 1 is expected" }),
  string: grammar({
    parse: (text) => {
      const value = /^[0-9]*\.?[0-9]+$/.test(text) ? Number(text) : undefined;
      return value !== undefined && isRatio(value) ? value : undefined;
    },
    expected: "a number from 0 to 1",
  }),
});

const failureActions = ["pause", "continue", "rollback"] as const;

const Order = z.enum(["stop-first", "start-first"], {
  error: "stop-first or start-first is expected",
});

/**
 * Fields of `update_config` and `rollback_config`; what is not written has swarm's default, save that an update that fails
 * is rolled back, as it is where nothing is written at all.
 */
function policyOf<const Action extends readonly string[]>(
  actions: Action,
  failureAction: Action[number],
) {
  return z
    .strictObject({
      delay: Duration.default(0),
      failure_action: z
        .enum(actions, { error: `${actions.join(" or ")} is expected` })
        .default(failureAction),
      max_failure_ratio: Ratio.default(0),
      monitor: Duration.default(5000),
      order: Order.default("stop-first"),
      parallelism: wholeNumber({ min: 0, max: replicasMax }).default(1),
    })
    .transform((policy) => ({
      parallelism: policy.parallelism,
      delayMs: policy.delay,
      failureAction: policy.failure_action as Action[number],
      monitorMs: policy.monitor,
      failureRatioMax: policy.max_failure_ratio,
      order: policy.order,
    }));
}

const RestartPolicy = z.strictObject({
  condition: z
    // The last three are no words of swarm's, but of Docker's: Compose hands them on.
    .enum(["none", "on-failure", "any", "no", "always", "unless-stopped"], {
      error: "none, on-failure or any is expected",
    })
    .default("any"),
  delay: Duration.optional(),
  max_attempts: wholeNumber({ min: 0, max: 1_000_000_000 }).optional(),
  window: Duration.optional(),
});

/** Spreading over hosts has no meaning on one: preferences are data. */
const Placement = z.strictObject({
  constraints: z.array(Constraint).optional(),
  preferences: z.array(z.strictObject({ spread: z.string() })).optional(),
  max_replicas_per_node: wholeNumber({ min: 0, max: replicasMax }).optional(),
});

/** `global` is one container on every host, so one here. */
const Mode = z.string().transform((text, context) => {
  if (text === "replicated" || text === "global") return text;
  const isJob = text === "replicated-job" || text === "global-job";
  context.addIssue(
    isJob
      ? unsupported(`the mode ${text}: use replicated with restart: "no"`)
      : { code: "custom", message: `${quoteValue(text)} is not replicated or global` },
  );
  return z.NEVER;
});

const Limits = z.strictObject({
  cpus: Cpus.optional(),
  memory: SizeText.optional(),
  pids: Pids.optional(),
});

/** `deploy` of a service, checked value by value. */
export const Deploy = byKind({
  null: z.null(),
  mapping: z.strictObject({
    endpoint_mode: only(
      "dnsrr",
      "a service's name stands for its containers, use dnsrr",
    ).optional(),
    labels: KeyValues.optional(),
    mode: Mode.optional(),
    placement: Placement.optional(),
    replicas: Replicas.optional(),
    resources: z
      .strictObject({
        limits: Limits.optional(),
        reservations: z
          .strictObject({ cpus: Cpus.optional(), memory: SizeText.optional() })
          .optional(),
      })
      .optional(),
    restart_policy: RestartPolicy.optional(),
    rollback_config: policyOf(["pause", "continue"], "pause").optional(),
    update_config: policyOf(failureActions, "rollback").optional(),
  }),
});
export type Deploy = z.infer<typeof Deploy>;

function isRatio(value: number): boolean {
  return value >= 0 && value <= 1;
}
