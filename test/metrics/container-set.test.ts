import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { ContainerSet } from "../../metrics/container-set.ts";
import type { ContainerTarget } from "../../metrics/container-target.ts";
import { families } from "../../metrics/families.ts";
import { NetworkReader } from "../../metrics/network-reader.ts";
import { parseExposition, type Sample } from "./parse-exposition.ts";

/** A cgroup2 directory as Linux 6.18 writes it. */
const unifiedFiles: Readonly<Record<string, string>> = {
  "cpu.stat":
    "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnice_usec 0\nnr_periods 20\nnr_throttled 4\nthrottled_usec 250000\nnr_bursts 1\nburst_usec 30\n",
  "cpu.max": "50000 100000\n",
  "cpu.weight": "100\n",
  "memory.current": "10000000\n",
  "memory.peak": "12000000\n",
  "memory.swap.current": "4096\n",
  "memory.max": "67108864\n",
  "memory.swap.max": "max\n",
  "memory.low": "0\n",
  "memory.events": "low 0\nhigh 3\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n",
  "memory.stat":
    "anon 3000000\nfile 6000000\nkernel 500000\nfile_mapped 1000\nfile_dirty 20\nfile_writeback 30\ninactive_anon 1\nactive_anon 2\ninactive_file 4000000\nactive_file 2000000\nworkingset_refault_anon 5\nworkingset_refault_file 6\npgscan 7\npgsteal 8\npgfault 90\npgmajfault 10\n",
  "io.stat": "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n",
  "pids.current": "5\n",
  "pids.max": "max\n",
  "cgroup.procs": "100\n101\n",
  "cpu.pressure":
    "some avg10=0.00 avg60=0.00 avg300=0.00 total=11\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=12\n",
  "memory.pressure":
    "some avg10=0.00 avg60=0.00 avg300=0.00 total=13\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=14\n",
  "io.pressure":
    "some avg10=0.00 avg60=0.00 avg300=0.00 total=15\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=16\n",
};

function fixture(t: ExecutionContext, files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), "bt-metrics-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(directory, name), content);
  return directory;
}

function targetOf(unified: string, changes: Partial<ContainerTarget> = {}): ContainerTarget {
  return {
    id: "/berth/abc",
    containerId: "abc",
    name: "shop-web-1",
    image: "shop/web:1",
    labels: { "com.example.team": 'a"b' },
    cgroupDirs: { v1: {}, unified },
    hostInterfaces: {},
    state: "running",
    startTimeSeconds: 1_700_000_000.25,
    createdTimeSeconds: 1_600_000_000,
    health: "healthy",
    restarts: 2,
    ...changes,
  };
}

function setOf(t: ExecutionContext, ...targets: readonly ContainerTarget[]): ContainerSet {
  const set = new ContainerSet({ memoryBytes: 2 ** 33, cpuCores: 2 });
  t.teardown(() => set.close());
  for (const target of targets) set.put(target);
  return set;
}

function samplesOf(set: ContainerSet, nowMs = 1000): ReadonlyMap<string, readonly Sample[]> {
  const families = parseExposition(Buffer.from(set.render(nowMs)).toString());
  return new Map([...families].map(([name, family]) => [name, family.samples]));
}

test("what the parent counts for all children is read of a child while the parent's moves, and once a minute", (t) => {
  const pressure = (total: number): string =>
    `some avg10=0.00 avg60=0.00 avg300=0.00 total=${total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`;
  const parent = fixture(t, { "io.pressure": pressure(15) });
  const child = join(parent, "child");
  mkdirSync(child);
  for (const [name, content] of Object.entries(unifiedFiles))
    writeFileSync(join(child, name), content);
  const set = setOf(t, targetOf(child));
  const waitedAt = (nowMs: number): number | undefined =>
    samplesOf(set, nowMs).get("container_pressure_io_waiting_seconds_total")?.[0]?.value;
  t.is(waitedAt(1000), 15e-6);
  writeFileSync(join(child, "io.pressure"), pressure(20));
  t.is(waitedAt(2000), 15e-6);
  writeFileSync(join(parent, "io.pressure"), pressure(21));
  t.is(waitedAt(3000), 20e-6);
  writeFileSync(join(child, "io.pressure"), pressure(22));
  t.is(waitedAt(4000), 20e-6);
  t.is(waitedAt(62_000), 22e-6);
});

test("without a parent's file to go by, a child's is read each time", (t) => {
  const child = fixture(t, unifiedFiles);
  const set = setOf(t, targetOf(child));
  const waited = (): number | undefined =>
    samplesOf(set).get("container_pressure_io_waiting_seconds_total")?.[0]?.value;
  t.is(waited(), 15e-6);
  writeFileSync(join(child, "io.pressure"), "some avg10=0.00 avg60=0.00 avg300=0.00 total=31\n");
  t.is(waited(), 31e-6);
});

test("every figure of a cgroup2 directory comes out under cAdvisor's name and unit", (t) => {
  const samples = samplesOf(setOf(t, targetOf(fixture(t, unifiedFiles))), 1_700_000_100_500);
  const wanted: Readonly<Record<string, number>> = {
    container_cpu_usage_seconds_total: 1.5,
    container_cpu_user_seconds_total: 1,
    container_cpu_system_seconds_total: 0.5,
    container_cpu_cfs_periods_total: 20,
    container_cpu_cfs_throttled_periods_total: 4,
    container_cpu_cfs_throttled_seconds_total: 0.25,
    container_cpu_cfs_burst_periods_total: 1,
    container_cpu_cfs_burst_seconds_total: 0.00003,
    container_memory_usage_bytes: 10_000_000,
    container_memory_working_set_bytes: 6_000_000,
    container_memory_rss: 3_000_000,
    container_memory_cache: 6_000_000,
    container_memory_swap: 4096,
    container_memory_mapped_file: 1000,
    container_memory_total_active_file_bytes: 2_000_000,
    container_memory_total_inactive_file_bytes: 4_000_000,
    container_memory_file_dirty_bytes: 20,
    container_memory_file_writeback_bytes: 30,
    container_memory_max_usage_bytes: 12_000_000,
    container_memory_events_high_total: 3,
    container_memory_events_max_total: 9,
    container_memory_pgscan_total: 7,
    container_memory_pgsteal_total: 8,
    container_memory_workingset_refault_anon_total: 5,
    container_memory_workingset_refault_file_total: 6,
    container_oom_events_total: 1,
    container_fs_reads_bytes_total: 4096,
    container_fs_writes_bytes_total: 8192,
    container_fs_reads_total: 1,
    container_fs_writes_total: 2,
    container_threads: 5,
    container_threads_max: 0,
    container_processes: 2,
    container_pressure_cpu_waiting_seconds_total: 0.000011,
    container_pressure_cpu_stalled_seconds_total: 0.000012,
    container_pressure_memory_waiting_seconds_total: 0.000013,
    container_pressure_memory_stalled_seconds_total: 0.000014,
    container_pressure_io_waiting_seconds_total: 0.000015,
    container_pressure_io_stalled_seconds_total: 0.000016,
    container_spec_cpu_quota: 50_000,
    container_spec_cpu_period: 100_000,
    container_spec_cpu_shares: 2597,
    container_spec_memory_limit_bytes: 67_108_864,
    container_spec_memory_swap_limit_bytes: 0,
    container_spec_memory_reservation_limit_bytes: 0,
    container_last_seen: 1_700_000_100.5,
    container_start_time_seconds: 1_700_000_000.25,
    container_creation_time_seconds: 1_600_000_000,
    container_health_state: 1,
    container_restarts_total: 2,
    container_state: 1,
  };
  for (const [name, value] of Object.entries(wanted)) {
    t.is(samples.get(name)?.length, 1, name);
    t.is(samples.get(name)?.[0]?.value, value, name);
    t.like(samples.get(name)?.[0]?.labels, {
      id: "/berth/abc",
      name: "shop-web-1",
      image: "shop/web:1",
      container_label_com_example_team: 'a"b',
    });
  }
  const told = families.filter(({ family }) => family.kind === "known");
  const unfilled = told.map(({ family }) => family.name).filter((name) => !samples.has(name));
  t.deepEqual(unfilled, [], "what the agent is to tell and does not");
  const others = [...samples.keys()].filter((name) => !(name in wanted)).sort();
  t.deepEqual(others, [
    "container_memory_failures_total",
    "container_scrape_error",
    "machine_cpu_cores",
    "machine_memory_bytes",
  ]);
});

test("page faults are told apart by type and scope", (t) => {
  const samples = samplesOf(setOf(t, targetOf(fixture(t, unifiedFiles))));
  const faults = samples.get("container_memory_failures_total") ?? [];
  const found = faults.map(({ labels, value }) => [labels.failure_type, labels.scope, value]);
  t.deepEqual(found, [
    ["pgfault", "container", 90],
    ["pgmajfault", "container", 10],
    ["pgfault", "hierarchy", 90],
    ["pgmajfault", "hierarchy", 10],
  ]);
});

test("throttling has no series while CPU time is not limited", (t) => {
  const files = { ...unifiedFiles, "cpu.max": "max 100000\n" };
  const names = [...samplesOf(setOf(t, targetOf(fixture(t, files)))).keys()];
  t.deepEqual(
    names.filter((name) => name.includes("cfs") || name.includes("quota")),
    [],
  );
  t.true(names.includes("container_spec_cpu_period"));
});

test("files that a kernel does not have leave only their own series out", (t) => {
  const { "memory.peak": _peak, "cpu.pressure": _pressure, ...files } = unifiedFiles;
  const names = [...samplesOf(setOf(t, targetOf(fixture(t, files)))).keys()];
  t.false(names.includes("container_memory_max_usage_bytes"));
  t.false(names.includes("container_pressure_cpu_waiting_seconds_total"));
  t.true(names.includes("container_memory_usage_bytes"));
});

test("a working set is never below zero", (t) => {
  const files = { ...unifiedFiles, "memory.current": "1000\n" };
  const samples = samplesOf(setOf(t, targetOf(fixture(t, files))));
  t.is(samples.get("container_memory_working_set_bytes")?.[0]?.value, 0);
});

test("a container that ended keeps what is known of it and loses what is measured", (t) => {
  const unified = fixture(t, unifiedFiles);
  const ended = targetOf(unified, { state: "exited", health: "none", oomKills: 3 });
  const set = setOf(t, ended);
  const samples = samplesOf(set);
  t.is(samples.get("container_state")?.[0]?.labels.state, "exited");
  t.is(samples.get("container_health_state")?.[0]?.value, -1);
  t.is(samples.get("container_oom_events_total")?.[0]?.value, 3);
  t.false(samples.has("container_last_seen"));
  t.false(samples.has("container_cpu_usage_seconds_total"));
  t.is(set.sample(1).size, 0);
});

test("changes of a target show in the next text, and a removed one is gone from it", (t) => {
  const unified = fixture(t, unifiedFiles);
  const set = setOf(t, targetOf(unified), targetOf(unified, { containerId: "def", name: "other" }));
  t.is(samplesOf(set).get("container_memory_usage_bytes")?.length, 2);
  set.put(targetOf(unified, { image: "shop/web:2", state: "paused", restarts: 7 }));
  set.remove("def");
  const samples = samplesOf(set, 2000);
  t.deepEqual(
    samples.get("container_memory_usage_bytes")?.map(({ labels }) => labels.image),
    ["shop/web:2"],
  );
  t.is(samples.get("container_restarts_total")?.[0]?.value, 7);
  t.deepEqual(
    samples.get("container_state")?.map(({ labels }) => labels.state),
    ["paused"],
  );
});

test("memory is read anew when CPU time was used since the last look, limits once a minute", (t) => {
  const unified = fixture(t, unifiedFiles);
  const set = setOf(t, targetOf(unified));
  samplesOf(set, 1000);
  writeFileSync(join(unified, "cpu.stat"), "usage_usec 9000001\n");
  writeFileSync(join(unified, "memory.current"), "11000000\n");
  writeFileSync(join(unified, "memory.max"), "1024\n");
  const soon = samplesOf(set, 2000);
  t.is(soon.get("container_memory_usage_bytes")?.[0]?.value, 11_000_000);
  t.is(soon.get("container_spec_memory_limit_bytes")?.[0]?.value, 67_108_864);
  const later = samplesOf(set, 62_000);
  t.is(later.get("container_spec_memory_limit_bytes")?.[0]?.value, 1024);
});

test("the memory of a container that used no CPU time is read again within a minute", (t) => {
  const unified = fixture(t, unifiedFiles);
  const set = setOf(t, targetOf(unified));
  samplesOf(set, 1000);
  writeFileSync(join(unified, "memory.current"), "11000000\n");
  const usage = (nowMs: number) =>
    samplesOf(set, nowMs).get("container_memory_usage_bytes")?.[0]?.value;
  t.not(usage(2000), 11_000_000);
  t.is(usage(61_000), 11_000_000);
});

test("values that change, grow longer and vanish are told as they are", (t) => {
  const unified = fixture(t, unifiedFiles);
  const set = setOf(t, targetOf(unified), targetOf(unified, { containerId: "def", name: "other" }));
  const usages = (nowMs: number) =>
    samplesOf(set, nowMs)
      .get("container_cpu_usage_seconds_total")
      ?.map(({ value }) => value);
  for (const [step, usec] of [1_000_000, 2_000_000, 2_345_678, 12_345_678, 3].entries()) {
    writeFileSync(join(unified, "cpu.stat"), `usage_usec ${usec}\n`);
    t.deepEqual(usages(1000 * step), [usec / 1e6, usec / 1e6]);
  }
  set.remove("abc");
  t.is(usages(9000)?.length, 1);
});

test("one container that cannot be read is reported and does not take the others away", (t) => {
  const broken = fixture(t, {});
  // Reading a directory fails with EISDIR, which no kernel counter does.
  mkdirSync(join(broken, "cpu.stat"));
  const set = setOf(
    t,
    targetOf(broken, { containerId: "broken", name: "broken" }),
    targetOf(fixture(t, unifiedFiles)),
  );
  const samples = samplesOf(set);
  t.is(samples.get("container_scrape_error")?.[0]?.value, 1);
  t.deepEqual(
    samples.get("container_cpu_usage_seconds_total")?.map(({ labels }) => labels.name),
    ["shop-web-1"],
  );
});

test("figures for people are those of the text", (t) => {
  const set = setOf(t, targetOf(fixture(t, unifiedFiles)));
  t.deepEqual(set.sample(1000).get("abc"), {
    cpuUsageUs: 1_500_000,
    memoryBytes: 6_000_000,
    memoryBytesMax: 67_108_864,
    pids: 5,
    networkReceiveBytes: 0,
    networkTransmitBytes: 0,
    blockReadBytes: 4096,
    blockWriteBytes: 8192,
  });
});

test("what the host's end of a pair sent is what the container received", (t) => {
  const header =
    "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";
  // More than one page, as on a host with many containers: /proc/net/dev comes a page at a time.
  const others = Array.from(
    { length: 200 },
    (_, index) => `veth${index}: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n`,
  ).join("");
  const line =
    "  vabc:1 2 3 4 0 0 0 0       11       12    13   14    0     0       0          0\n";
  const path = join(fixture(t, { dev: `${header}${others}${line}` }), "dev");
  const reader = new NetworkReader(path);
  t.teardown(() => reader.close());
  const found = reader.read(new Set(["vabc", "absent"]));
  t.deepEqual([...found.keys()], ["vabc"]);
  t.deepEqual([...(found.get("vabc") ?? [])], [11, 12, 13, 14, 1, 2, 3, 4]);
});
