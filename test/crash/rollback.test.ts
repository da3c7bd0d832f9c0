import { kernelTest } from "../kernel/kernel-test.ts";
import { checkEndState, checkNothingLeft, endState } from "./checks.ts";
import { CrashHost } from "./crash-host.ts";
import type { Kill } from "./crash-plan.ts";
import { isHealthy, rollBack } from "./phases.ts";
import { withTemplates } from "./scenario.ts";

/** Hosts side by side, each of which goes through many rollbacks. */
const lanes = 4;

kernelTest("an agent killed at any boundary of a rollback goes back to what was good", (t) => {
  t.timeout(1_800_000);
  return withTemplates(lanes, async (templates) => {
    let next = 0;
    // Known once a rollback went through undisturbed.
    let last = Number.POSITIVE_INFINITY;
    const kills: number[] = [];
    const lane = async (host: CrashHost) => {
      await host.moveTo("deploy");
      host.start(null);
      t.true(await host.converged(isHealthy));
      const expected = await endState(host);
      while (next <= last) {
        const at = next++;
        const kill: Kill = { kind: "boundaries", at, delayMs: 0 };
        const label = `rollback, killed at boundary ${at}`;
        if (await rollBack({ t, host, kill, label })) kills.push(at);
        else last = Math.min(last, at);
        await checkEndState(t, host, { expected, label });
        t.regex(await host.curl(), /GREETING=ahoy/, label);
      }
      await host.downByAgent();
      await checkNothingLeft(t, host, "down");
    };
    await Promise.all(templates.map((template) => CrashHost.use(template, lane)));
    t.log("boundaries", last);
    // The good container goes, the broken one comes and goes, the good one comes back: seven steps of three boundaries.
    t.true(last > 20);
    const all = Array.from({ length: last }, (_, at) => at);
    const missed = all.filter((at) => !kills.includes(at));
    t.deepEqual(missed, []);
  });
});
