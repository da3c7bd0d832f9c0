import { spawnSync } from "node:child_process";
import test, { type ExecutionContext } from "ava";
import { type AgentMetrics, createAgentMetrics } from "../../metrics/agent-metrics.ts";
import { ContainerSet } from "../../metrics/container-set.ts";
import { parseExposition, type Sample } from "./parse-exposition.ts";

const promtool = process.env.PROMTOOL ?? "promtool";

async function samplesOf(metrics: AgentMetrics, name: string): Promise<readonly Sample[]> {
  const families = parseExposition(await metrics.render());
  return [...families.values()].flatMap(({ samples }) =>
    samples.filter((one) => one.name === name),
  );
}

test("events are counted by their labels, and known results begin at zero", async (t) => {
  const metrics = createAgentMetrics({ version: "1.2.3" });
  metrics.reconciled({ result: "changed", durationMs: 40 });
  metrics.reconciled({ result: "changed", durationMs: 60 });
  metrics.fetched("failed");
  metrics.drifted("port-missing");
  metrics.stepped({ kind: "start-container", result: "failed", durationMs: 5 });
  metrics.pulled({ result: "pulled", durationMs: 100 });
  metrics.received(1000);
  metrics.layer("hit");
  metrics.unpacked(20);
  metrics.setDisk({ totalBytes: 100, freeBytes: 30 });
  metrics.setContainers({ wanted: 3, running: 2 });
  const found = async (name: string): Promise<unknown[]> =>
    (await samplesOf(metrics, name)).map(({ labels, value }) => [
      Object.values(labels).join(),
      value,
    ]);
  t.deepEqual(await found("berth_reconcile_total"), [
    ["changed", 2],
    ["unchanged", 0],
    ["failed", 0],
  ]);
  t.deepEqual(await found("berth_reconcile_duration_seconds_sum"), [["", 0.1]]);
  t.deepEqual(await found("berth_source_fetch_total"), [
    ["ok", 0],
    ["failed", 1],
  ]);
  t.deepEqual(await found("berth_drift_total"), [["port-missing", 1]]);
  t.deepEqual(await found("berth_steps_total"), [["start-container,failed", 1]]);
  t.deepEqual(await found("berth_step_duration_seconds_count"), [["start-container", 1]]);
  t.deepEqual(await found("berth_image_pull_bytes_total"), [["", 1000]]);
  t.deepEqual(await found("berth_containers"), [
    ["wanted", 3],
    ["running", 2],
  ]);
  t.like((await samplesOf(metrics, "berth_build_info"))[0], {
    labels: { version: "1.2.3" },
    value: 1,
  });
});

test("an app has one revision series, and none after it is gone", async (t) => {
  const metrics = createAgentMetrics({ version: "1" });
  metrics.setRevisions(
    new Map([
      ["shop", "aaa"],
      ["blog", "aaa"],
    ]),
  );
  metrics.setRevisions(new Map([["shop", "bbb"]]));
  const labels = (await samplesOf(metrics, "berth_revision_info")).map((sample) => sample.labels);
  t.deepEqual(labels, [{ app: "shop", revision: "bbb" }]);
  metrics.setRevisions(new Map());
  t.deepEqual(await samplesOf(metrics, "berth_revision_info"), []);
});

test("the age of the last fetch grows, and is absent before there was one", async (t) => {
  let nowMs = 1_000_000;
  const metrics = createAgentMetrics({ version: "1", now: () => nowMs });
  metrics.fetched("failed");
  t.deepEqual(await samplesOf(metrics, "berth_source_last_fetch_age_seconds"), []);
  t.deepEqual(await samplesOf(metrics, "berth_source_last_fetch_timestamp_seconds"), []);
  metrics.fetched("ok");
  nowMs += 2500;
  metrics.fetched("failed");
  t.is((await samplesOf(metrics, "berth_source_last_fetch_age_seconds"))[0]?.value, 2.5);
  t.is((await samplesOf(metrics, "berth_source_last_fetch_timestamp_seconds"))[0]?.value, 1000);
});

test("two agents in one process do not share their numbers", async (t) => {
  const [first, second] = [
    createAgentMetrics({ version: "1" }),
    createAgentMetrics({ version: "2" }),
  ];
  first.drifted("table-missing");
  t.is((await samplesOf(second, "berth_drift_total")).length, 0);
});

test("the process and its event loop are watched", async (t) => {
  const metrics = createAgentMetrics({ version: "1" });
  t.is((await samplesOf(metrics, "nodejs_eventloop_lag_p99_seconds")).length, 1);
  t.true(((await samplesOf(metrics, "process_resident_memory_bytes"))[0]?.value ?? 0) > 1e6);
  t.true(((await samplesOf(metrics, "process_open_fds"))[0]?.value ?? 0) > 3);
});

test("what holds up the event loop shows as its delay", async (t) => {
  const metrics = createAgentMetrics({ version: "1" });
  await new Promise((resolve) => {
    setTimeout(resolve, 1);
  });
  const begin = performance.now();
  while (performance.now() - begin < 60) {
    // Nothing else has a turn.
  }
  await new Promise((resolve) => {
    setTimeout(resolve, 1);
  });
  const [longest] = await samplesOf(metrics, "nodejs_eventloop_lag_max_seconds");
  t.true((longest?.value ?? 0) >= 0.06, `${longest?.value}`);
});

test("promtool finds no syntax error in what is exposed", async (t) => {
  if (spawnSync(promtool, ["--version"]).error) {
    skip(t, "promtool (Debian: prometheus) is not installed");
    return;
  }
  const metrics = createAgentMetrics({ version: "1" });
  metrics.stepped({ kind: "pull", result: "ok", durationMs: 1 });
  const containers = new ContainerSet({ memoryBytes: 1, cpuCores: 1 });
  containers.put({
    id: "/x",
    containerId: "x",
    name: 'quo"te\\',
    image: "line\nbreak",
    labels: { "a.b": "é" },
    cgroupDirs: { v1: {} },
    hostInterfaces: {},
    state: "exited",
    createdTimeSeconds: 1.5,
    health: "unhealthy",
    restarts: 1,
  });
  const text = (await metrics.render()) + Buffer.from(containers.render(1)).toString();
  parseExposition(text);
  // Exit code 3 is lint advice (names that cAdvisor and Node chose), 1 a text that cannot be parsed.
  const result = spawnSync(promtool, ["check", "metrics"], { input: text, encoding: "utf8" });
  t.true(result.status === 0 || result.status === 3, result.stderr);
  t.notRegex(result.stderr, /berth_|error while|parsing/);
});

function skip(t: ExecutionContext, reason: string): void {
  t.log(`skipped: ${reason}`);
  if (process.env.MUST_WORK === "1") t.fail(reason);
  else t.pass();
}
