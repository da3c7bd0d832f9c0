import { z } from "zod";
import type { Healthcheck as DesiredHealthcheck } from "../desired-state.ts";
import { byKind } from "./by-kind.ts";
import { Duration, Flag, wholeNumber } from "./values.ts";

/** Docker's defaults; a field set to 0 takes them too. */
const intervalMsDefault = 30_000;
const timeoutMsDefault = 30_000;
const startIntervalMsDefault = 5000;
const retriesDefault = 3;

const Test = byKind({
  string: z
    .string()
    .transform((text): readonly string[] => (text === "" ? [] : ["CMD-SHELL", text])),
  list: z.array(z.string()).transform((words, context): readonly string[] => {
    const [first, ...rest] = words;
    if (first === undefined) return [];
    if (first === "NONE" && rest.length === 0) return words;
    if (first === "CMD" && rest.length > 0) return words;
    if (first === "CMD-SHELL" && rest.length === 1) return words;
    const message = '["CMD", PROGRAM, …], ["CMD-SHELL", TEXT] or ["NONE"] is expected';
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  }),
});

/** How often and how patiently a container is asked. */
export const timingFields = {
  interval: Duration.optional(),
  retries: wholeNumber({ min: 0, max: 1_000_000 }).optional(),
  start_interval: Duration.optional(),
  start_period: Duration.optional(),
  timeout: Duration.optional(),
};
type Timing = z.infer<z.ZodObject<typeof timingFields>>;

export function timingOf(timing: Timing): Omit<DesiredHealthcheck, "test" | "probe"> {
  return {
    intervalMs: timing.interval || intervalMsDefault,
    timeoutMs: timing.timeout || timeoutMsDefault,
    retries: timing.retries || retriesDefault,
    startPeriodMs: timing.start_period ?? 0,
    startIntervalMs: timing.start_interval || startIntervalMsDefault,
  };
}

/**
 * `test: []` keeps the image's test with the timing given here; `["NONE"]` switches the image's
 * off.
 */
export const Healthcheck = byKind({
  mapping: z
    .strictObject({ ...timingFields, disable: Flag.optional(), test: Test.optional() })
    .transform(
      (check): DesiredHealthcheck => ({
        test: check.disable === true ? ["NONE"] : (check.test ?? []),
        ...timingOf(check),
      }),
    ),
});
export type Healthcheck = z.infer<typeof Healthcheck>;
