import { kernelTest } from "../kernel/kernel-test.ts";
import { checkEndState, checkNothingLeft, endState } from "./checks.ts";
import { CrashHost } from "./crash-host.ts";
import type { Kill } from "./crash-plan.ts";
import { isHealthy, replace } from "./phases.ts";
import { withTemplates } from "./scenario.ts";

/** Hosts side by side, each of which goes back and forth many times. */
const lanes = 2;
const sides = ["left", "right"] as const;

kernelTest("an agent killed at any boundary of a start-first rollout finishes it", (t) => {
  t.timeout(1_800_000);
  return withTemplates(lanes, async (templates) => {
    let next = 0;
    // Known once a rollout went through undisturbed.
    let last = Number.POSITIVE_INFINITY;
    const kills: number[] = [];
    const lane = async (host: CrashHost) => {
      await host.moveTo("left");
      host.start(null);
      t.true(await host.converged(isHealthy));
      const expected = new Map<string, unknown>();
      for (const side of ["right", "left"] as const) {
        await replace({ t, host, kill: null, label: `to ${side}`, side });
        expected.set(side, await endState(host));
      }
      for (let turn = 1; next <= last; turn += 1) {
        const side = sides[turn % sides.length] ?? "left";
        const at = next++;
        const kill: Kill = { kind: "boundaries", at, delayMs: 0 };
        const label = `to ${side}, killed at boundary ${at}`;
        if (await replace({ t, host, kill, label, side })) kills.push(at);
        else last = Math.min(last, at);
        const overlapping = "shop-web-1";
        await checkEndState(t, host, { expected: expected.get(side), label, overlapping });
        t.regex(await host.curl(), new RegExp(`GREETING=${side}`), label);
      }
      await host.downByAgent();
      await checkNothingLeft(t, host, "down");
    };
    await Promise.all(templates.map((template) => CrashHost.use(template, lane)));
    t.log("boundaries", last);
    // Create, start, wait, hand over, drain, stop and remove: seven steps of three boundaries.
    t.true(last > 20);
    const all = Array.from({ length: last }, (_, at) => at);
    const missed = all.filter((at) => !kills.includes(at));
    t.deepEqual(missed, []);
  });
});
