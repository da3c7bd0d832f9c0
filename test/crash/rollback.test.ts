import { kernelTest } from "../kernel/kernel-test.ts";
import { checkEndState } from "./checks.ts";
import { bringUp, rollBack } from "./phases.ts";
import { walkBoundaries } from "./walk-boundaries.ts";

kernelTest("an agent killed at any boundary of a rollback goes back to what was good", (t) =>
  walkBoundaries({
    t,
    walked: "a rollback",
    by: "boundaries",
    lanes: 4,
    // The good container goes, the broken one comes and goes, the good one comes back: seven steps of three boundaries.
    least: 20,
    begin: async (host) => {
      const expected = await bringUp({ t, host });
      return async ({ kill, label }) => {
        const wasKilled = await rollBack({ t, host, kill, label });
        await checkEndState(t, host, { expected, label });
        t.regex(await host.curl(), /GREETING=ahoy/, label);
        return wasKilled;
      };
    },
  }),
);
