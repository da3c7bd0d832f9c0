import { setTimeout as sleep } from "node:timers/promises";
import type { AgentProcess } from "./agent-process.ts";
import { type Measurement, summarize } from "./measure.ts";

const changes = 10;
const verdicts = new Set(["rollout.healthy", "rollout.failed", "rollout.rolled-back"]);
const idleSeconds = 30;
/** A collection of the whole heap falls into some of them. */
const idleRuns = 3;
/** After a deployment the collector still tidies up: that is not idling. */
const settleSeconds = 30;

/**
 * One service of many is changed by a commit to the local repository, which the agent watches: from before `git commit`
 * until all of the revision runs, and to the verdict, for which a service without a health check must have run a while; both
 * by the agent's record. `manifestOf` gives a Compose file that differs in that service with each number.
 */
export async function measureChange(
  agent: AgentProcess,
  options: { readonly file: string; readonly manifestOf: (change: number) => string },
): Promise<Measurement[]> {
  const [running, healthy]: [number[], number[]] = [[], []];
  for (let run = -1; run < changes; run += 1) {
    const seen = (await agent.events()).length;
    const begin = Date.now();
    await agent.commit({ [options.file]: options.manifestOf(run) });
    const [runs, verdict] = await untilVerdict(agent, seen);
    if (run < 0) continue;
    running.push(Date.parse(runs) - begin);
    healthy.push(Date.parse(verdict) - begin);
  }
  const what = "one changed service: before git commit to";
  return [
    summarize(`${what} all running`, "berth", "ms", running),
    summarize(`${what} the verdict healthy, no health check`, "berth", "ms", healthy),
  ];
}

/** When the revision ran and when it was found healthy, among what was recorded after the first `seen` events. */
async function untilVerdict(agent: AgentProcess, seen: number): Promise<[string, string]> {
  for (;;) {
    const told = (await agent.events()).slice(seen);
    const verdict = told.find(({ kind }) => verdicts.has(kind));
    const runs = told.find(({ kind }) => kind === "revision.running");
    if (verdict?.kind === "rollout.healthy" && runs !== undefined) return [runs.time, verdict.time];
    if (verdict !== undefined && verdict.kind !== "rollout.healthy")
      throw new Error(`cannot measure a change: ${verdict.kind}`);
    await sleep(100);
  }
}

/** Share of one core, in percent, that the agent takes while nothing happens. */
export async function measureIdle(agent: AgentProcess, count: number): Promise<Measurement> {
  await sleep(settleSeconds * 1000);
  const shares: number[] = [];
  for (let run = 0; run < idleRuns; run += 1) {
    const before = agent.cpuMs();
    await sleep(idleSeconds * 1000);
    shares.push(((agent.cpuMs() - before) / (idleSeconds * 1000)) * 100);
  }
  return summarize(`idle agent with ${count} containers, share of one core`, "berth", "%", shares);
}
