import { setTimeout as sleep } from "node:timers/promises";
import { measureChange, measureIdle } from "./agent-change.ts";
import { AgentProcess, benchImage, memoryMib } from "./agent-process.ts";
import { measureRestarts } from "./agent-restart.ts";
import { type Measurement, measure, summarize } from "./measure.ts";

const services = 20;
const servicesOfMany = 100;
const firstPort = 23_000;
const deployRuns = 5;

/** The whole agent: commits of 20 services with a port each, rounds that change nothing, memory, metrics. */
export async function measureAgent(dir: string): Promise<Measurement[]> {
  const agent = new AgentProcess(dir, 22_999);
  await agent.start();
  try {
    return [
      ...(await measureDeploys(agent)),
      ...(await measureMemory(agent)),
      await measureScrape(agent, services),
      await measureRound(agent, services),
      await measureRestarts(agent),
      ...(await measureChange(agent, {
        file: "fleet/compose.yaml",
        manifestOf: (change) => manifest(services, "same", { first: `change${change}` }),
      })),
      ...(await measureMany(agent)),
    ];
  } finally {
    await agent.down();
  }
}

/** By the agent's own record: from `revision.accepted` to the last `container.started`. */
async function measureDeploys(agent: AgentProcess): Promise<Measurement[]> {
  const [up, down]: [number[], number[]] = [[], []];
  for (let run = 0; run < deployRuns; run += 1) {
    const before = (await agent.events()).length;
    await agent.commit({ "fleet/compose.yaml": manifest(services, `run${run}`) });
    await agent.berth(["sync", "--timeout", "60s"]);
    const told = (await agent.events()).slice(before);
    const accepted = told.find(({ kind }) => kind === "revision.accepted");
    const started = told.filter(({ kind }) => kind === "container.started");
    if (started.length !== services)
      throw new Error(`cannot count ${services} starts: ${started.length}`);
    up.push(Date.parse(started.at(-1)?.time ?? "") - Date.parse(accepted?.time ?? ""));
    if (run === deployRuns - 1) break;
    const begin = performance.now();
    await agent.commit({ "fleet/compose.yaml": "services: {}\n" });
    await agent.berth(["sync", "--timeout", "60s"]);
    down.push(performance.now() - begin);
  }
  return [
    summarize(`${services} services with a port: commit seen to all running`, "berth", "ms", up),
    summarize(`${services} services: git commit and sync of their removal`, "berth", "ms", down),
  ];
}

async function measureMemory(agent: AgentProcess): Promise<Measurement[]> {
  await sleep(2000);
  const helpers = agent.helperPids().map((pid) => memoryMib(pid, "Pss"));
  const own = memoryMib(agent.pid, "Rss");
  const supervisors = helpers.toSorted((a, b) => a - b).slice(0, services);
  const sum = helpers.reduce((total, pss) => total + pss, own);
  return [
    summarize(`memory with ${services} containers, all of berth`, "berth", "MiB", [sum]),
    summarize(`memory with ${services} containers, agent alone (RSS)`, "berth", "MiB", [own]),
    summarize("memory of one supervisor (PSS)", "berth", "MiB", supervisors),
  ];
}

/** Five hundred containers, then a thousand: apps of their own, because a bridge has 1,023 ports and a /24 fewer addresses. */
async function measureMany(agent: AgentProcess): Promise<Measurement[]> {
  const apps = (from: number, to: number) =>
    Object.fromEntries(
      Array.from({ length: to - from }, (_, index) => [
        `many${from + index}/compose.yaml`,
        manifest(servicesOfMany, "many", { ports: false }),
      ]),
    );
  await agent.commit({ "fleet/compose.yaml": "services: {}\n", ...apps(0, 1) });
  await agent.berth(["sync", "--timeout", "60s"]);
  const idle = await measureIdle(agent, servicesOfMany);
  await agent.commit(apps(1, 5));
  await agent.berth(["sync", "--timeout", "180s"]);
  const scrape = await measureScrape(agent, 5 * servicesOfMany);
  await agent.commit(apps(5, 10));
  await agent.berth(["sync", "--timeout", "180s"]);
  return [idle, scrape, await measureRound(agent, 10 * servicesOfMany)];
}

async function measureScrape(agent: AgentProcess, count: number): Promise<Measurement> {
  return measure(
    `/metrics with ${count} containers, CPU of the agent`,
    "berth",
    { runs: 5 },
    async () => {
      const scrapes = 20;
      const begin = agent.cpuMs();
      for (let n = 0; n < scrapes; n += 1) await agent.metrics();
      return (agent.cpuMs() - begin) / scrapes;
    },
  );
}

/** Rounds that find nothing to do, by the agent's own histogram: of a commit that touches no app. */
async function measureRound(agent: AgentProcess, count: number): Promise<Measurement> {
  return measure(
    `round that changes nothing, ${count} services`,
    "berth",
    { runs: 10 },
    async () => {
      const before = await roundSeconds(agent);
      await agent.commit({ "notes.txt": `${performance.now()}\n` });
      let after = before;
      while (after.count === before.count) {
        await sleep(50);
        after = await roundSeconds(agent);
      }
      return ((after.sum - before.sum) * 1000) / Math.max(1, after.count - before.count);
    },
  );
}

async function roundSeconds(
  agent: AgentProcess,
): Promise<{ readonly sum: number; readonly count: number }> {
  const text = await agent.metrics();
  const value = (name: string) =>
    [
      ...text.matchAll(
        new RegExp(`^berth_reconcile_duration_seconds_${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"),
      ),
    ]
      .map((match) => Number(match[1]))
      .reduce((a, b) => a + b, 0);
  return { sum: value("sum"), count: value("count") };
}

function manifest(
  count: number,
  greeting: string,
  options: { readonly ports?: boolean; readonly first?: string } = {},
): string {
  const bodies = Array.from(
    { length: count },
    (_, index) => `  s${index}:
    image: ${benchImage}
    restart: always
    environment: { GREETING: ${index === 0 ? (options.first ?? greeting) : greeting} }
${options.ports !== false ? `    ports: ["127.0.0.1:${firstPort + index}:8080"]\n` : ""}`,
  );
  return `services:\n${bodies.join("")}`;
}
