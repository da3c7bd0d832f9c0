import { setTimeout as sleep } from "node:timers/promises";
import type { AgentProcess } from "./agent-process.ts";
import { type Measurement, summarize } from "./measure.ts";

/** So that the kernel has taken down what the last one left. */
const pauseMs = 500;
/** For as long a revision is watched, and an end is its failure. */
const watchedMs = 12_000;

/**
 * Every container is killed once, which its restart policy answers without a pause: from before the kill until it runs
 * again, by the agent's record.
 */
export async function measureRestarts(agent: AgentProcess): Promise<Measurement> {
  await sleep(watchedMs);
  const seen = (await agent.events()).length;
  const killed = new Map<string, number>();
  for (const { name, pid } of await containers(agent)) {
    killed.set(name, Date.now());
    process.kill(pid, "SIGKILL");
    await sleep(pauseMs);
  }
  const told = (await agent.events())
    .slice(seen)
    .filter(({ kind }) => kind === "container.restarted");
  const took = [...killed].map(([name, atMs]) => {
    const back = told.find(({ target }) => target === name);
    if (back === undefined)
      throw new Error(`cannot measure the restart of ${name}: it is not back`);
    return Date.parse(back.time) - atMs;
  });
  const what = `a container of ${killed.size} killed: to running again, with its network and port`;
  return summarize(what, "berth", "ms", took);
}

async function containers(
  agent: AgentProcess,
): Promise<readonly { readonly name: string; readonly pid: number }[]> {
  return JSON.parse(await agent.berth(["ps", "--json"]));
}
