import { kernelTest } from "../kernel/kernel-test.ts";
import { checkEndState } from "./checks.ts";
import { bringUp, repair } from "./phases.ts";
import { walkBoundaries } from "./walk-boundaries.ts";

kernelTest(
  "an agent killed at any instant of a repair leaves nothing damaged and no container touched",
  (t) =>
    walkBoundaries({
      t,
      walked: "a repair",
      by: "instants",
      lanes: 3,
      // Two tables, two bridges and a port, beside the intent.
      least: 16,
      begin: async (host) => {
        const expected = await bringUp({ t, host });
        return async ({ kill, label }) => {
          const wasKilled = await repair({ t, host, kill, label });
          await checkEndState(t, host, { expected, label });
          t.regex(await host.curl(), /GREETING=/, label);
          return wasKilled;
        };
      },
    }),
);
