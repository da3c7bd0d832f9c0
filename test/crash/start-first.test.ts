import { kernelTest } from "../kernel/kernel-test.ts";
import { checkEndState, endState } from "./checks.ts";
import { bringUp, replace } from "./phases.ts";
import { walkBoundaries } from "./walk-boundaries.ts";

const overlapping = "shop-web-1";

kernelTest("an agent killed at any boundary of a start-first rollout finishes it", (t) =>
  walkBoundaries({
    t,
    walked: "a start-first rollout",
    by: "boundaries",
    lanes: 2,
    // Create, start, wait, hand over, drain, stop and remove: seven steps of three boundaries.
    least: 20,
    begin: async (host) => {
      await bringUp({ t, host }, "left");
      const expected = new Map<string, unknown>();
      let side: "left" | "right" = "left";
      const other = () => (side === "left" ? "right" : "left");
      for (const to of ["right", "left"] as const) {
        await replace({ t, host, kill: null, label: `to ${to}`, side: to });
        expected.set(to, await endState(host));
      }
      return async ({ kill, label }) => {
        side = other();
        const wasKilled = await replace({ t, host, kill, label, side });
        await checkEndState(t, host, { expected: expected.get(side), label, overlapping });
        t.regex(await host.curl(), new RegExp(`GREETING=${side}`), label);
        return wasKilled;
      };
    },
  }),
);
