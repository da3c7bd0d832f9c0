import { type ChildProcess, spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import test, { type ExecutionContext } from "ava";
import { type ContainerMetrics, createContainerMetrics } from "../../metrics/container-metrics.ts";
import type { ContainerTarget } from "../../metrics/container-target.ts";
import type { LentText } from "../../metrics/lent-text.ts";
import { type KernelCgroup, kernelCgroup } from "./kernel-cgroup.ts";
import { parseExposition } from "./parse-exposition.ts";

const mode = { inline: { inlineContainersMax: 100 }, thread: { inlineContainersMax: 0 } };

/** The test's own cgroup, or undefined when the test is to be skipped (said in the log). */
function cgroupFor(t: ExecutionContext): KernelCgroup | undefined {
  const cgroup = kernelCgroup();
  if (typeof cgroup !== "string") {
    t.teardown(() => cgroup.remove());
    return cgroup;
  }
  if (process.env.MUST_WORK === "1") t.fail(cgroup);
  else t.pass(`skipped: ${cgroup}`);
  t.log(`skipped: ${cgroup}`);
  return undefined;
}

function targetOf(
  cgroup: Pick<KernelCgroup, "dirs">,
  changes: Partial<ContainerTarget> = {},
): ContainerTarget {
  return {
    id: "/bt-metrics/one",
    containerId: "one",
    name: "one",
    image: "busy:1",
    labels: {},
    cgroupDirs: cgroup.dirs,
    hostInterfaces: { eth0: "lo" },
    state: "running",
    startTimeSeconds: 1,
    createdTimeSeconds: 1,
    health: "none",
    restarts: 0,
    ...changes,
  };
}

function metricsOf(
  t: ExecutionContext,
  options: Parameters<typeof createContainerMetrics>[0],
): ContainerMetrics {
  const metrics = createContainerMetrics(options);
  t.teardown(() => metrics.close());
  return metrics;
}

async function textOf(rendering: Promise<LentText>): Promise<string> {
  const { parts } = await rendering;
  return Buffer.concat(parts).toString();
}

async function valuesOf(metrics: ContainerMetrics): Promise<ReadonlyMap<string, number>> {
  const families = parseExposition(await textOf(metrics.render()));
  const values = new Map<string, number>();
  for (const [name, { samples }] of families) {
    const [first] = samples;
    if (first) values.set(name, first.value);
  }
  return values;
}

/** A process that waits in its cgroup until it is told to go on: `use 0.3 s of CPU, hold 32 MiB`. */
async function busyProcess(t: ExecutionContext, cgroup: KernelCgroup): Promise<ChildProcess> {
  const program =
    "process.stdin.once('data', () => { globalThis.kept = Buffer.alloc(32 << 20, 1);" +
    "let used; do { for (let i = 0; i < 1e6; i++); used = process.cpuUsage().user } while (used < 300000); console.log('done'); })";
  const child = spawn(process.execPath, ["-e", program], { stdio: ["pipe", "pipe", "inherit"] });
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  cgroup.attach(child.pid ?? 0);
  child.stdin?.write("go\n");
  await once(child.stdout ?? child, "data");
  return child;
}

/** rmdir may have to wait until the kernel has let the ended process go. */
async function removeSoon(cgroup: KernelCgroup): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return cgroup.remove();
    } catch (error) {
      if (attempt === 100) throw error;
      await delay(20);
    }
  }
}

function openFilesOf(cgroup: KernelCgroup): number {
  const directories = [...Object.values(cgroup.dirs.v1), cgroup.dirs.unified ?? "none"];
  const links = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "";
    }
  });
  return links.filter((link) => directories.some((directory) => link.startsWith(directory))).length;
}

for (const [name, options] of Object.entries(mode)) {
  test(`what the kernel counts for a working process comes out: ${name}`, async (t) => {
    const cgroup = cgroupFor(t);
    if (!cgroup) return;
    const metrics = metricsOf(t, options);
    const child = await busyProcess(t, cgroup);
    metrics.setTargets([targetOf(cgroup)]);
    const values = await valuesOf(metrics);
    const between = (metric: string, least: number, most: number): void => {
      const value = values.get(metric) ?? Number.NaN;
      t.true(value >= least && value <= most, `${metric} is ${value}, not ${least} to ${most}`);
    };
    between("container_cpu_usage_seconds_total", 0.1, 20);
    between("container_cpu_user_seconds_total", 0.1, 20);
    between("container_memory_usage_bytes", 32 << 20, 400 << 20);
    between("container_memory_rss", 32 << 20, 400 << 20);
    between("container_memory_max_usage_bytes", 32 << 20, 400 << 20);
    between("container_threads", 2, 64);
    t.is(values.get("container_processes"), 1);
    between("container_memory_failures_total", 8000, 1e7);
    t.is(values.get("container_spec_memory_limit_bytes"), 0);
    t.is(values.get("container_oom_events_total"), 0);
    t.true(values.has("container_network_receive_bytes_total"));
    between("container_last_seen", Date.now() / 1000 - 60, Date.now() / 1000);

    const sample = (await metrics.readStats()).get("one");
    t.true((sample?.cpuUsageUs ?? 0) >= 100_000);
    t.true((sample?.memoryBytes ?? 0) >= 32 << 20);
    t.is(sample?.memoryBytesMax, null);

    child.kill("SIGKILL");
    await once(child, "exit");
    await removeSoon(cgroup);
  });

  test(`a removed cgroup is let go of, and one made anew is found: ${name}`, async (t) => {
    const cgroup = cgroupFor(t);
    if (!cgroup) return;
    const metrics = metricsOf(t, options);
    metrics.setTargets([targetOf(cgroup)]);
    t.true((await valuesOf(metrics)).has("container_memory_usage_bytes"));
    t.true(openFilesOf(cgroup) > 5);

    cgroup.remove();
    const gone = await valuesOf(metrics);
    t.false(gone.has("container_memory_usage_bytes"));
    t.false(gone.has("container_last_seen"));
    t.is(gone.get("container_scrape_error"), 0);
    t.is(openFilesOf(cgroup), 0);

    cgroup.make();
    t.true((await valuesOf(metrics)).has("container_memory_usage_bytes"));
    // Replaced between two readings: the kept descriptors are those of the old one.
    cgroup.remove();
    cgroup.make();
    t.true((await valuesOf(metrics)).has("container_memory_usage_bytes"));
  });

  test(`descriptors are closed with their target and at the end: ${name}`, async (t) => {
    const first = cgroupFor(t);
    const second = cgroupFor(t);
    if (!first || !second) return;
    const metrics = metricsOf(t, options);
    const other = targetOf(second, { containerId: "two", name: "two" });
    metrics.setTargets([targetOf(first), other]);
    t.is((await metrics.readStats()).size, 2);
    metrics.setTargets([other]);
    t.deepEqual([...(await metrics.readStats()).keys()], ["two"]);
    t.is(openFilesOf(first), 0);
    t.true(openFilesOf(second) > 5);
    metrics.setTargets([{ ...other, state: "exited" }]);
    t.is((await metrics.readStats()).size, 0);
    t.is(openFilesOf(second), 0);
    metrics.setTargets([other]);
    await metrics.render();
    await metrics.close();
    t.is(openFilesOf(second), 0);
    await t.throwsAsync(metrics.render(), { message: /were closed/ });
  });
}

test("a CPU quota brings the throttling series, and a memory limit its number", async (t) => {
  const cgroup = cgroupFor(t);
  if (!cgroup) return;
  const { cpu, memory } = cgroup.dirs.v1;
  if (cpu === undefined || memory === undefined) {
    t.pass("v1 controllers are not mounted; the cgroup2 files are covered by fixtures");
    return;
  }
  writeFileSync(`${cpu}/cpu.cfs_quota_us`, "20000");
  writeFileSync(`${memory}/memory.limit_in_bytes`, `${64 << 20}`);
  const metrics = metricsOf(t, mode.inline);
  metrics.setTargets([targetOf(cgroup)]);
  const values = await valuesOf(metrics);
  t.is(values.get("container_spec_cpu_quota"), 20_000);
  t.is(values.get("container_spec_cpu_period"), 100_000);
  t.is(values.get("container_spec_memory_limit_bytes"), 64 << 20);
  t.true(values.has("container_cpu_cfs_throttled_seconds_total"));
  t.is((await metrics.readStats()).get("one")?.memoryBytesMax, 64 << 20);
});

test("an OOM kill is counted, and added to those of earlier runs", async (t) => {
  const cgroup = cgroupFor(t);
  const memory = cgroup?.dirs.v1.memory;
  if (!cgroup || memory === undefined) {
    t.pass();
    return;
  }
  writeFileSync(`${memory}/memory.limit_in_bytes`, `${24 << 20}`);
  const metrics = metricsOf(t, mode.inline);
  const child = spawn("sh", ["-c", "read go; head -c 200000000 /dev/zero | tail"], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  cgroup.attach(child.pid ?? 0);
  child.stdin.end("go\n");
  await once(child, "exit");
  metrics.setTargets([targetOf(cgroup, { oomKills: 4 })]);
  const kernel = Number(
    /^oom_kill (\d+)$/m.exec(readFileSync(`${memory}/memory.oom_control`, "utf8"))?.[1],
  );
  t.true(kernel >= 1);
  t.is((await valuesOf(metrics)).get("container_oom_events_total"), 4 + kernel);
  await removeSoon(cgroup);
});

// Serial: it watches every thread that this process starts.
test.serial("a thread that dies is replaced, told everything again, and reported", async (t) => {
  const cgroup = cgroupFor(t);
  if (!cgroup) return;
  const workers: Worker[] = [];
  const onWorker = (message: unknown): void => {
    workers.push((message as { readonly worker: Worker }).worker);
  };
  subscribe("worker_threads", onWorker);
  t.teardown(() => unsubscribe("worker_threads", onWorker));
  const metrics = metricsOf(t, mode.thread);
  metrics.setTargets([targetOf(cgroup)]);
  t.true((await valuesOf(metrics)).has("container_memory_usage_bytes"));
  t.is(workers.length, 1);
  await workers[0]?.terminate();
  t.true((await valuesOf(metrics)).has("container_memory_usage_bytes"));
  t.is(workers.length, 2);

  const restarts: Error[] = [];
  const watched = metricsOf(t, { ...mode.thread, onRestart: (cause) => restarts.push(cause) });
  watched.setTargets([targetOf(cgroup)]);
  const rendering = watched.render();
  await workers[2]?.terminate();
  t.true((await textOf(rendering)).includes("container_memory_usage_bytes"));
  t.is(restarts.length, 1);
});

test("calls at the same time share one reading", async (t) => {
  const metrics = metricsOf(t, mode.thread);
  const [first, second] = await Promise.all([metrics.render(), metrics.render()]);
  t.is(first.parts[0]?.buffer, second.parts[0]?.buffer);
  t.deepEqual(first.parts, second.parts);
});

for (const [name, options] of Object.entries(mode)) {
  test(`memory is used again once all who read a text have released it, ${name}`, async (t) => {
    const metrics = metricsOf(t, options);
    metrics.setTargets([
      { ...targetOf({ dirs: { v1: {} } }, { containerId: "x" }), state: "exited" },
    ]);
    const [first, second] = await Promise.all([metrics.render(), metrics.render()]);
    const lent = first.parts[0]?.buffer;
    first.release();
    first.release();
    // What is written into the memory that was lent shows whether a later text has taken it.
    const mark = new Uint8Array(lent ?? new ArrayBuffer(0));
    const before = mark[0] ?? 0;
    mark[0] = 0;
    await metrics.render();
    t.is(mark[0], 0);
    second.release();
    const again = await metrics.render();
    t.is(mark[0], before);
    t.regex(await textOf(Promise.resolve(again)), /container_state\{.*\} 1\n/);
  });
}

test("without containers there is the machine and nothing else", async (t) => {
  const values = await valuesOf(metricsOf(t, undefined));
  t.deepEqual(
    [...values.keys()],
    ["machine_memory_bytes", "machine_cpu_cores", "container_scrape_error"],
  );
  t.true((values.get("machine_memory_bytes") ?? 0) > 2 ** 26);
});
