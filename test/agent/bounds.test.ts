import test from "ava";
import { passedBound } from "../../agent/rollout/bounds.ts";
import type { Usage } from "../../runtime/cgroups/cgroup-usage.ts";

const nothing: Usage = {
  memoryBytes: 10 * 1_048_576,
  cpuPeriods: 0,
  cpuPeriodsThrottled: 0,
  cpuStalledUs: 0,
  memoryStalledUs: 0,
  ioStalledUs: 0,
};

const span = (to: Partial<Usage>, memoryMebibytesBefore?: number) => ({
  from: nothing,
  to: { ...nothing, ...to },
  spanMs: 10_000,
  memoryBytesBefore:
    memoryMebibytesBefore === undefined ? undefined : memoryMebibytesBefore * 1_048_576,
  checks: { made: 0, failed: 0 },
  failedSharesBefore: undefined,
});

const held = span({ cpuPeriods: 100, cpuPeriodsThrottled: 21 });

test("a container that is throttled in more periods than allowed has passed its bound", (t) => {
  t.is(
    passedBound("web-1", { cpuThrottledMax: 0.2 }, held),
    "web-1 was throttled in 21 % of its CPU periods, and 20 % are allowed",
  );
  t.is(passedBound("web-1", { cpuThrottledMax: 0.21 }, held), undefined);
});

test("few periods and a short time show nothing", (t) => {
  const few = span({ cpuPeriods: 19, cpuPeriodsThrottled: 19 });
  t.is(passedBound("web-1", { cpuThrottledMax: 0 }, few), undefined);
  t.is(passedBound("web-1", { cpuThrottledMax: 0 }, { ...held, spanMs: 4_999 }), undefined);
});

test("time spent waiting is a share of the time that was watched", (t) => {
  const waited = span({ cpuStalledUs: 1_000_000, memoryStalledUs: 2_000_000, ioStalledUs: 3e6 });
  t.is(
    passedBound("web-1", { cpuPressureMax: 0.05 }, waited),
    "web-1 waited for CPU time in 10 % of 10 s, and 5 % are allowed",
  );
  t.regex(passedBound("web-1", { memoryPressureMax: 0 }, waited) ?? "", /for memory in 20 %/);
  t.regex(passedBound("web-1", { ioPressureMax: 0.29 }, waited) ?? "", /for its disks in 30 %/);
  t.is(passedBound("web-1", { cpuPressureMax: 0.1, ioPressureMax: 0.3 }, waited), undefined);
});

test("memory is compared with what the revision before used", (t) => {
  const uses = (mebibytes: number, before?: number) =>
    passedBound(
      "web-1",
      { memoryGrowthMax: 0.5 },
      span({ memoryBytes: mebibytes * 1_048_576 }, before),
    );
  t.is(
    uses(31, 20),
    "web-1 uses 31.0 MiB of memory where the revision before used 20.0 MiB, and 50 % more are allowed",
  );
  t.is(uses(30, 20), undefined);
  t.is(uses(3, 1), undefined);
  t.is(uses(500), undefined);
});

test("what the kernel does not count passes no bound", (t) => {
  const unknown = { cpuPeriods: undefined, cpuStalledUs: undefined, memoryBytes: undefined };
  const bounds = { cpuThrottledMax: 0, cpuPressureMax: 0, memoryGrowthMax: 0 };
  t.is(passedBound("web-1", bounds, span(unknown, 1)), undefined);
});

test("failed checks are a share of those that were made, beyond the share of the revision before", (t) => {
  const fails = (failed: number, made: number, before?: number) =>
    passedBound(
      "web-1",
      { failedChecksMax: 0.2 },
      { ...span({}), checks: { made, failed }, failedSharesBefore: before },
    );
  t.is(
    fails(5, 10, 0.1),
    "web-1 failed 5 of 10 healthchecks (50 %) where the revision before failed 10 % of them, and 20 % more are allowed",
  );
  t.is(fails(3, 10, 0.1), undefined);
  t.is(fails(2, 10), undefined);
  t.regex(fails(3, 10) ?? "", /before failed 0 %/);
  t.is(fails(4, 4), undefined);
});
