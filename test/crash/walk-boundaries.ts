import type { ExecutionContext } from "ava";
import { checkNothingLeft } from "./checks.ts";
import { CrashHost } from "./crash-host.ts";
import type { Kill } from "./crash-plan.ts";
import { withTemplates } from "./scenario.ts";
import { stepsOf, type Walked } from "./walked-steps.ts";

export type Walk = {
  readonly t: ExecutionContext;
  readonly walked: Walked;
  /**
   * Boundaries of steps, or instants: each change of a store, request to the helper and rename. Instants are more, and
   * are between the boundaries too; early ones come before the first step.
   */
  readonly by: Kill["kind"];
  /** Hosts side by side, each of which goes through it many times. */
  readonly lanes: number;
  /** How many there are at least. */
  readonly least: number;
  /** Brings a host up to where it begins. */
  readonly begin: (host: CrashHost) => Promise<Turn>;
};

/** Goes through it once and comes back to where it began; true when the agent was killed on the way. */
export type Turn = (disturbance: {
  readonly kill: Kill;
  readonly label: string;
}) => Promise<boolean>;

/** Goes through something again and again, the agent killed one boundary later each time, until it is killed at none. */
export function walkBoundaries(walk: Walk): Promise<void> {
  const { t, walked, by, lanes, least, begin } = walk;
  // Minutes on an idle machine: a busy one takes more than a test is given otherwise.
  t.timeout(3_600_000);
  // What comes right before a change comes after the one before it, but for what the helper does meanwhile.
  const [first, stride, name] = by === "boundaries" ? [0, 1, "boundary"] : [1, 2, "instant"];
  return withTemplates(lanes, async (templates) => {
    let next = first;
    // Known once all of it went through undisturbed.
    let last = Number.POSITIVE_INFINITY;
    const lane = async (host: CrashHost) => {
      const turn = await begin(host);
      while (next <= last) {
        const at = next;
        next += stride;
        const kill: Kill = { kind: by, at, delayMs: 0 };
        const label = `${walked}, killed at ${name} ${at}`;
        if (await turn({ kill, label })) continue;
        last = Math.min(last, at);
        const passed = host.lastPassed();
        t.true(passed[by] <= at, `${label}: it came there and was not killed`);
        const unmet = stepsOf(walked).filter((kind) => !passed.steps.includes(kind));
        t.deepEqual(unmet, [], `${label}: steps that it was to meet`);
      }
      await host.downByAgent();
      await checkNothingLeft(t, host, "down");
    };
    await Promise.all(templates.map((template) => CrashHost.use(template, lane)));
    t.log(by, last);
    t.true(last > least);
  });
}
