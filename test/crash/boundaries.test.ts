import type { ExecutionContext } from "ava";
import type { StepKind } from "../../agent/plan/step.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { checkEndState, checkNothingLeft, checkUntouched, endState } from "./checks.ts";
import { CrashHost } from "./crash-host.ts";
import type { Kill, Passed } from "./crash-plan.ts";
import { livingContainers } from "./inventory.ts";
import { type Revision, type Template, withTemplates } from "./scenario.ts";
import { stepsOf } from "./walked-steps.ts";

const revisions = ["deploy", "change", "prune"] as const;
/** Hosts side by side: each mostly waits. */
const lanes = 4;

type Walk = {
  readonly t: ExecutionContext;
  readonly template: Template;
  readonly expected: ReadonlyMap<Revision, unknown>;
  readonly counts: Counts;
  /** Boundaries that the agent was to be killed at and never came to. */
  readonly missed: string[];
};
type Counts = { readonly [Phase in Revision | "down" | "down after prune"]: number };

kernelTest(
  "an agent killed at any boundary of any step leaves what an undisturbed one would",
  (t) => {
    // Three minutes on an idle machine with two CPUs: a busy one takes more than a test is given otherwise.
    t.timeout(3_600_000);
    return withTemplates(lanes, async (templates) => {
      const [first] = templates;
      if (first === undefined) throw new Error("cannot begin: no template was made");
      const { expected, counts } = await undisturbed(t, first);
      t.log("boundaries", counts);
      const last = Math.max(counts.deploy, counts.prune + counts.down, counts["down after prune"]);
      t.true(counts.change <= last, "some boundary of the change is never come to");
      const missed: string[] = [];
      let next = 0;
      const lane = async (template: Template) => {
        while (next < last) await crashHost({ t, template, expected, counts, missed }, next++);
      };
      await Promise.all(templates.map(lane));
      t.deepEqual(missed, []);
    });
  },
);

/** How it should be, and how many boundaries there are. */
async function undisturbed(
  t: ExecutionContext,
  template: Template,
): Promise<Pick<Walk, "expected" | "counts">> {
  const expected = new Map<Revision, unknown>();
  const counts: Record<string, number> = {};
  const met = new Set<StepKind>();
  const note = (phase: string, { boundaries, steps }: Passed) => {
    counts[phase] = boundaries;
    for (const kind of steps) met.add(kind);
  };
  for (const pruned of [true, false]) {
    await CrashHost.use(template, async (host) => {
      await host.moveTo("deploy");
      host.start(null);
      for (const revision of pruned ? revisions : revisions.slice(0, 2)) {
        if (revision !== "deploy") await host.arm(null);
        await host.moveTo(revision);
        t.true(await host.converged());
        note(revision, await host.passed());
        expected.set(revision, await endState(host));
        const file = revision === "prune" ? undefined : `${revision}\n`;
        t.like(expected.get(revision), { plan: [], intents: [], mounts: [], file });
      }
      await host.arm(null);
      await host.downByAgent();
      note(pruned ? "down after prune" : "down", host.lastPassed());
      await checkNothingLeft(t, host, "undisturbed down");
    });
  }
  const unmet = stepsOf("a life").filter((kind) => !met.has(kind));
  t.deepEqual(unmet, [], "steps that it was to meet");
  // All five were set above.
  return { expected, counts: counts as Counts };
}

/** One host through its whole life, its agent killed at boundary `at` of each phase that has so many. */
async function crashHost(walk: Walk, at: number): Promise<void> {
  const { t, template, expected, counts, missed } = walk;
  await CrashHost.use(template, async (host) => {
    const kill = (number: number): Kill => ({ kind: "boundaries", at: number, delayMs: 0 });
    await host.moveTo("deploy");
    host.start(at < counts.deploy ? kill(at) : null);
    const isPruned = at < counts.prune;
    for (const revision of isPruned ? revisions : revisions.slice(0, 2)) {
      const label = `${revision}, killed at boundary ${at}`;
      if (revision !== "deploy") {
        if (at >= counts[revision]) continue;
        await host.arm(kill(at));
      }
      const before = livingContainers(host);
      await host.moveTo(revision);
      if (!(await host.survived())) await recover(t, host, label);
      else if (at < counts[revision]) missed.push(label);
      checkUntouched(t, before, livingContainers(host), label);
      await checkEndState(t, host, { expected: expected.get(revision), label });
      if (revision !== "prune") t.regex(await host.curl(), /GREETING=/, label);
    }
    // A prune has fewer boundaries than a deploy: the hosts of those that are left are taken down unpruned.
    const downAt = isPruned ? at : at - counts.prune;
    await host.arm(kill(downAt));
    await host.downByAgent();
    const label = `down${isPruned ? " after prune" : ""}, killed at boundary ${downAt}`;
    const downCount = counts[isPruned ? "down after prune" : "down"];
    if (downAt < downCount && !host.wasKilled) missed.push(label);
    await checkNothingLeft(t, host, label);
  });
}

async function recover(t: ExecutionContext, host: CrashHost, label: string): Promise<void> {
  const living = livingContainers(host);
  host.start(null);
  t.true(await host.converged(), label);
  checkUntouched(t, living, livingContainers(host), `${label}, after the crash`);
}
