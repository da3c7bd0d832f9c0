import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { CgroupHost } from "../../runtime/cgroups/cgroup-host.ts";
import { resourceWrites } from "../../runtime/oci/oci-resources.ts";

/** Controllers of v1 in a directory of the test's own, with a period of 100 ms. */
function v1Host(t: { teardown(end: () => void): void }) {
  const root = mkdtempSync(join(tmpdir(), "bt-oci-cgroup-"));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  for (const controller of ["cpu", "memory", "pids"]) {
    mkdirSync(join(root, controller, "c"), { recursive: true });
  }
  writeFileSync(join(root, "cpu/c/cpu.cfs_period_us"), "100000\n");
  const v1 = new Map(["cpu", "memory", "pids"].map((name) => [name, join(root, name)]));
  const host = { v1, unified: undefined, unifiedControllers: new Set<string>() };
  return writesOn(host);
}

/** A block controller whose cgroup `c` has these files. */
function blockHost(
  t: { teardown(end: () => void): void },
  version: "v1" | "v2",
  files: readonly string[],
) {
  const root = mkdtempSync(join(tmpdir(), "bt-oci-cgroup-"));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "c"));
  for (const file of files) writeFileSync(join(root, "c", file), "");
  const host =
    version === "v1"
      ? {
          v1: new Map([["blkio", root]]),
          unified: undefined,
          unifiedControllers: new Set<string>(),
        }
      : { v1: new Map<string, string>(), unified: root, unifiedControllers: new Set(["io"]) };
  return writesOn(host);
}

function writesOn(host: CgroupHost) {
  return (resources: Parameters<typeof resourceWrites>[0]) =>
    resourceWrites(resources, { host, path: "/c" }).map(({ path, value }) => [
      path.slice(path.lastIndexOf("/") + 1),
      value,
    ]);
}

test("a limit of 0 is one that the caller leaves alone", (t) => {
  const writes = v1Host(t);
  const memory = { limit: 0, reservation: 0, swap: 0, kernelTCP: 0 };
  const cpu = { shares: 0, quota: 0, period: 0 };
  t.deepEqual(writes({ memory, cpu, pids: { limit: 50 } }), [["pids.max", "50"]]);
  t.deepEqual(writes({ memory: { swappiness: 0 } }), [["memory.swappiness", "0"]]);
});

test("a shorter period is written after its quota, a longer one before", (t) => {
  const writes = v1Host(t);
  t.deepEqual(writes({ cpu: { period: 10_000, quota: 3000 } }), [
    ["cpu.cfs_quota_us", "3000"],
    ["cpu.cfs_period_us", "10000"],
  ]);
  t.deepEqual(writes({ cpu: { period: 200_000, quota: 3000 } }), [
    ["cpu.cfs_period_us", "200000"],
    ["cpu.cfs_quota_us", "3000"],
  ]);
});

test("weights of block I/O go to the file that the kernel has, and are refused where it has none", (t) => {
  const blockIO = { weight: 100, weightDevice: [{ major: 8, minor: 0, weight: 1000 }] };
  t.deepEqual(blockHost(t, "v1", ["blkio.bfq.weight"])({ blockIO }), [
    ["blkio.bfq.weight", "100"],
    ["blkio.bfq.weight_device", "8:0 1000"],
  ]);
  t.deepEqual(blockHost(t, "v2", ["io.weight"])({ blockIO }), [
    ["io.weight", "default 910"],
    ["io.weight", "8:0 10000"],
  ]);
  const left = { weight: 0, weightDevice: [{ major: 8, minor: 0, weight: 0 }] };
  t.deepEqual(blockHost(t, "v2", [])({ blockIO: left }), []);
  t.throws(() => blockHost(t, "v2", [])({ blockIO }), {
    message: /linux\.resources\.blockIO\.weight .*load the module bfq/,
  });
  t.throws(() => blockHost(t, "v1", [])({ blockIO: { weightDevice: blockIO.weightDevice } }), {
    message: /linux\.resources\.blockIO\.weightDevice .*load the module bfq/,
  });
});
