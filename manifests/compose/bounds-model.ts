import { z } from "zod";
import type { ServiceBounds } from "../service-options.ts";
import { byKind, grammar } from "./by-kind.ts";
import { present } from "./present.ts";

function percent(max: number) {
  const expected = `a percentage from 0% to ${max}% such as 20%`;
  return byKind({
    string: grammar({
      parse: (text) => {
        const [, digits] = /^(\d{1,4}(?:\.\d{1,2})?) ?%$/.exec(text) ?? [];
        return digits !== undefined && Number(digits) <= max ? Number(digits) / 100 : undefined;
      },
      expected,
    }),
    number: z.number().transform((number, context) => {
      context.addIssue({ code: "custom", message: `${number} is not ${expected}` });
      return z.NEVER;
    }),
  });
}

/** What a service says under `x-berth.bounds`; shares of 1 in what it becomes. */
export const Bounds = byKind({
  mapping: z
    .strictObject({
      "cpu-throttled": percent(100).optional(),
      "cpu-pressure": percent(100).optional(),
      "memory-pressure": percent(100).optional(),
      "io-pressure": percent(100).optional(),
      "memory-growth": percent(1000).optional(),
      "failed-checks": percent(100).optional(),
    })
    .transform(
      (bounds): ServiceBounds => ({
        ...present("cpuThrottledMax", bounds["cpu-throttled"]),
        ...present("cpuPressureMax", bounds["cpu-pressure"]),
        ...present("memoryPressureMax", bounds["memory-pressure"]),
        ...present("ioPressureMax", bounds["io-pressure"]),
        ...present("memoryGrowthMax", bounds["memory-growth"]),
        ...present("failedChecksMax", bounds["failed-checks"]),
      }),
    ),
});
