import { randomInt } from "node:crypto";
import type { ExecutionContext } from "ava";
import { kernelTest } from "../kernel/kernel-test.ts";
import { checkEndState, checkNothingLeft, checkUntouched, endState } from "./checks.ts";
import { CrashHost } from "./crash-host.ts";
import type { Kill } from "./crash-plan.ts";
import { livingContainers, storedImages } from "./inventory.ts";
import { checkImages, collect, isHealthy, pull, repair, rollBack, unpull } from "./phases.ts";
import { type Revision, type Template, withTemplates } from "./scenario.ts";

const lanes = 3;
/** BERTH_CRASH_KILLS=200 BERTH_CRASH_SEED=7 looks longer, or again. */
const kills = Number(process.env.BERTH_CRASH_KILLS ?? 18);
const seed = Number(process.env.BERTH_CRASH_SEED ?? randomInt(2 ** 31));
const phases = [
  "deploy",
  "change",
  "prune",
  "rollback",
  "collection",
  "pull",
  "repair",
  "down",
] as const;

type Phase = (typeof phases)[number];
type Known = {
  readonly expected: ReadonlyMap<Revision, unknown>;
  /** Writes to databases and requests to the helper, before and after each. */
  readonly counts: ReadonlyMap<Phase, number>;
};

kernelTest("an agent killed at any instant leaves what an undisturbed one would", (t) =>
  withTemplates(lanes, async (templates) => {
    const [first] = templates;
    if (first === undefined) throw new Error("cannot begin: no template was made");
    const known = await undisturbed(t, first);
    t.log(`seed ${seed}, ${kills} kills`, Object.fromEntries(known.counts));
    const random = randomNumbers(seed);
    const schedule = Array.from({ length: kills }, (_, index) => {
      const phase = phases[index % phases.length] ?? "deploy";
      const at = Math.floor(random() * (known.counts.get(phase) ?? 1));
      // Half of them between two instants: the helper is at work then.
      const delayMs = random() < 0.5 ? 0 : Math.ceil(random() * 12);
      return { phase, kill: { kind: "instants", at, delayMs } satisfies Kill };
    });
    const lane = async (template: Template) => {
      for (let next = schedule.shift(); next !== undefined; next = schedule.shift()) {
        await crashHost({ t, template, ...known, ...next });
      }
    };
    await Promise.all(templates.map(lane));
  }),
);

async function undisturbed(t: ExecutionContext, template: Template): Promise<Known> {
  const expected = new Map<Revision, unknown>();
  const counts = new Map<Phase, number>();
  await CrashHost.use(template, async (host) => {
    await host.moveTo("deploy");
    host.start(null);
    for (const phase of phases) {
      if (isOnLivingHost(phase)) continue;
      if (phase !== "deploy") await host.arm(null);
      if (phase === "down") {
        await host.downByAgent();
        counts.set(phase, host.lastPassed().instants);
        continue;
      }
      await host.moveTo(phase);
      t.true(await host.converged());
      counts.set(phase, (await host.passed()).instants);
      expected.set(phase, await endState(host));
    }
    await checkNothingLeft(t, host, "undisturbed down");
  });
  await CrashHost.use(template, async (host) => {
    await host.moveTo("deploy");
    host.start(null);
    t.true(await host.converged(isHealthy));
    for (const phase of phases.filter(isOnLivingHost)) {
      const label = `undisturbed ${phase}`;
      await host.loadSpareImage();
      await onLivingHost[phase]({ t, host, kill: null, label });
      counts.set(phase, (await host.passed()).instants);
      if (phase === "pull") await unpull({ t, host, label });
    }
    await host.downByAgent();
  });
  return { expected, counts };
}

/** What a host that is up goes through, and comes back from to where it was. */
const onLivingHost = { rollback: rollBack, collection: collect, pull, repair } as const;

function isOnLivingHost(phase: Phase): phase is keyof typeof onLivingHost {
  return Object.hasOwn(onLivingHost, phase);
}

/** One host up to the phase in which its agent is killed. */
async function crashHost(
  options: Known & {
    readonly t: ExecutionContext;
    readonly template: Template;
    readonly phase: Phase;
    readonly kill: Kill;
  },
): Promise<void> {
  const { t, template, expected, phase, kill } = options;
  const label = `seed ${seed}: ${phase}, killed ${kill.delayMs} ms after instant ${kill.at}`;
  await CrashHost.use(template, async (host) => {
    await host.moveTo("deploy");
    host.start(phase === "deploy" ? kill : null);
    if (isOnLivingHost(phase)) {
      t.true(await host.converged(isHealthy), label);
      const images = storedImages(host);
      if (phase === "collection") await host.loadSpareImage();
      await onLivingHost[phase]({ t, host, kill, label });
      if (phase === "pull") await unpull({ t, host, label });
      await checkEndState(t, host, { expected: expected.get("deploy"), label });
      await checkImages(t, host, { expected: images, label });
      await host.downByAgent();
      return checkNothingLeft(t, host, label);
    }
    for (const revision of ["deploy", "change", "prune"] as const) {
      if (phase === revision && phase !== "deploy") await host.arm(kill);
      const before = livingContainers(host);
      await host.moveTo(revision);
      if (!(await host.survived())) {
        const living = livingContainers(host);
        host.start(null);
        t.true(await host.converged(), label);
        checkUntouched(t, living, livingContainers(host), `${label}, after the crash`);
      }
      checkUntouched(t, before, livingContainers(host), label);
      await checkEndState(t, host, { expected: expected.get(revision), label });
      if (phase === revision) break;
    }
    if (phase === "down") await host.arm(kill);
    await host.downByAgent();
    await checkNothingLeft(t, host, label);
  });
}

/** mulberry32: in [0, 1). */
function randomNumbers(seedNumber: number): () => number {
  let state = seedNumber | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
