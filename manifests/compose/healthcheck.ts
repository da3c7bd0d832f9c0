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

/**
 * `test: []` keeps the image's test with the timing given here; `["NONE"]` switches the image's
 * off.
 */
export const Healthcheck = byKind({
  mapping: z
    .strictObject({
      disable: Flag.optional(),
      interval: Duration.optional(),
      retries: wholeNumber({ min: 0, max: 1_000_000 }).optional(),
      start_interval: Duration.optional(),
      start_period: Duration.optional(),
      test: Test.optional(),
      timeout: Duration.optional(),
    })
    .transform(
      (check): DesiredHealthcheck => ({
        test: check.disable === true ? ["NONE"] : (check.test ?? []),
        intervalMs: check.interval || intervalMsDefault,
        timeoutMs: check.timeout || timeoutMsDefault,
        retries: check.retries || retriesDefault,
        startPeriodMs: check.start_period ?? 0,
        startIntervalMs: check.start_interval || startIntervalMsDefault,
      }),
    ),
});
export type Healthcheck = z.infer<typeof Healthcheck>;
