import test from "ava";
import { backoffMs } from "../../agent/backoff.ts";
import { healthStarting, nextHealth, nextProbeInMs } from "../../agent/health/health-state.ts";
import { isTaken, parseListeners } from "../../agent/host-listeners.ts";
import { decideRestart, restartWaitMs } from "../../agent/restart/restart-policy.ts";
import {
  isWindowOpen,
  nextPollInMs,
  nextWindowAtMs,
  parsePollSchedule,
  parseWindow,
} from "../../agent/settings/schedule.ts";
import { parseListen } from "../../agent/settings/settings.ts";

const failure = { code: 1, oomKilled: false, finishedAtMs: 0 };
const success = { code: 0, oomKilled: false, finishedAtMs: 0 };
const unknown = { oomKilled: false, finishedAtMs: 0 };
const none = { count: 0, backoffMs: 0 };

for (const [condition, exit, restart] of [
  ["no", failure, false],
  ["on-failure", success, false],
  ["on-failure", failure, true],
  ["on-failure", unknown, true],
  ["always", success, true],
  ["unless-stopped", success, true],
] as const) {
  test(`restart ${condition} after ${JSON.stringify(exit)}: ${restart}`, (t) => {
    const decision = decideRestart({ policy: { condition }, exit, restarts: none, ranForMs: 0 });
    t.is(decision.restart, restart);
  });
}

test("the delay before a restart doubles up to a minute and is gone after ten good seconds", (t) => {
  const policy = { condition: "always" } as const;
  const delays: number[] = [];
  let restarts = none;
  for (let count = 1; count <= 12; count += 1) {
    const decision = decideRestart({ policy, exit: failure, restarts, ranForMs: 9_999 });
    if (!decision.restart) return t.fail();
    delays.push(decision.delayMs);
    restarts = { count, backoffMs: decision.delayMs };
  }
  t.deepEqual(delays.slice(0, 4), [100, 200, 400, 800]);
  t.is(delays.at(-1), 60_000);
  t.like(decideRestart({ policy, exit: failure, restarts, ranForMs: 10_000 }), { delayMs: 0 });
});

test("a restart waits for less than its delay by up to half at random, a delay of the policy is kept to", (t) => {
  const policy = { condition: "always" } as const;
  t.is(restartWaitMs({ policy, backoffMs: 800, random: 0 }), 800);
  t.is(restartWaitMs({ policy, backoffMs: 800, random: 0.5 }), 600);
  t.true(restartWaitMs({ policy, backoffMs: 800, random: 0.999 }) > 400);
  const fixed = { condition: "always", delayMs: 800 } as const;
  t.is(restartWaitMs({ policy: fixed, backoffMs: 800, random: 0.5 }), 800);
});

test("a delay of the policy holds before every restart, and attempts have an end", (t) => {
  const policy = { condition: "always", delayMs: 5_000, attemptsMax: 2 } as const;
  const after = (count: number, ranForMs: number) =>
    decideRestart({ policy, exit: success, restarts: { count, backoffMs: 5_000 }, ranForMs });
  t.deepEqual(after(0, 0), { restart: true, delayMs: 5_000 });
  t.deepEqual(after(1, 60_000), { restart: true, delayMs: 5_000 });
  t.deepEqual(after(2, 0), { restart: false, why: "attempts" });
});

test("retries back off with jitter and a limit", (t) => {
  t.is(delayAfter(1, 0), 1_000);
  t.is(delayAfter(3, 0), 4_000);
  t.is(delayAfter(3, 0.5), 3_000);
  t.is(delayAfter(1_000, 0), 60_000);
});

const check = {
  test: ["CMD", "x"],
  intervalMs: 10_000,
  timeoutMs: 1_000,
  retries: 2,
  startPeriodMs: 30_000,
  startIntervalMs: 1_000,
};

test("failures in the start period do not count, a success ends starting at once", (t) => {
  let state = healthStarting;
  for (const sinceStartMs of [0, 10_000, 29_999]) {
    state = nextHealth({ state, ok: false, sinceStartMs, check });
  }
  t.like(state, { health: "starting", failures: 0 });
  t.is(nextProbeInMs(state, 20_000, check), 1_000);
  state = nextHealth({ state, ok: true, sinceStartMs: 29_999, check });
  t.is(state.health, "healthy");
  t.is(nextProbeInMs(state, 20_000, check), 10_000);
});

test("as many failures in a row as retries make unhealthy, one success makes healthy", (t) => {
  let state = nextHealth({ state: healthStarting, ok: true, sinceStartMs: 0, check });
  state = nextHealth({ state, ok: false, sinceStartMs: 40_000, check });
  t.is(state.health, "healthy");
  state = nextHealth({ state, ok: false, sinceStartMs: 50_000, check });
  t.is(state.health, "unhealthy");
  t.is(nextHealth({ state, ok: true, sinceStartMs: 60_000, check }).health, "healthy");
});

test("intervals and cron expressions are poll schedules, anything else is refused", (t) => {
  t.deepEqual(parsePollSchedule("1m30s"), { kind: "every", intervalMs: 90_000 });
  t.deepEqual(parsePollSchedule("*/5 * * * *"), { kind: "cron", expression: "*/5 * * * *" });
  for (const text of ["", "soon", "10ms", "61 * * * *", "30 s", "0 0 30 2 *"]) {
    t.throws(() => parsePollSchedule(text), { message: /^cannot poll/ }, text);
  }
});

test("the next poll comes after the interval and at most a tenth of it", (t) => {
  const every = parsePollSchedule("10s");
  t.is(nextPollInMs(every, 0, 0), 10_000);
  t.is(nextPollInMs(every, 0, 0.99), 10_990);
  const now = new Date(2026, 0, 1, 12, 0, 30).getTime();
  t.is(nextPollInMs(parsePollSchedule("*/5 * * * *"), now, 0), 270_000);
});

test("a maintenance window is open from its start for its duration", (t) => {
  const windows = [parseWindow({ start: "0 2 * * *", duration: "90m" })];
  t.false(isWindowOpen(windows, summerDay(1, 59)));
  t.true(isWindowOpen(windows, summerDay(2, 0)));
  t.true(isWindowOpen(windows, summerDay(3, 29)));
  t.false(isWindowOpen(windows, summerDay(3, 30)));
  t.true(isWindowOpen([], summerDay(12, 0)));
  t.is(nextWindowAtMs(windows, summerDay(12, 0)), new Date(2026, 5, 11, 2).getTime());
  t.throws(() => parseWindow({ start: "0 2 * * *", duration: "forever" }));
});

test("listening sockets of the host are read from proc, with the addresses they take", (t) => {
  const text = [
    "  sl  local_address rem_address   st",
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000",
    "   1: 00000000:0016 00000000:0000 0A 00000000:00000000",
    "   2: 0100007F:9999 0100007F:1F90 01 00000000:00000000",
  ].join("\n");
  const listeners = parseListeners(text, "tcp");
  t.deepEqual(listeners, [
    { protocol: "tcp", port: 8080, address: "127.0.0.1" },
    { protocol: "tcp", port: 22, address: undefined },
  ]);
  const [loopback] = listeners;
  if (loopback === undefined) return t.fail();
  const port = { hostPort: 8080, protocol: "tcp" } as const;
  t.true(isTaken(loopback, { ...port, hostIp: "0.0.0.0" }));
  t.true(isTaken(loopback, { ...port, hostIp: "127.0.0.1" }));
  t.false(isTaken(loopback, { ...port, hostIp: "192.0.2.1" }));
  t.false(isTaken(loopback, { ...port, hostIp: "0.0.0.0", protocol: "udp" }));
});

test("an address to listen on has a host and a port", (t) => {
  t.deepEqual(parseListen("127.0.0.1:9477"), { host: "127.0.0.1", port: 9477 });
  t.deepEqual(parseListen("[::1]:0"), { host: "::1", port: 0 });
  t.is(parseListen("none"), null);
  for (const text of ["9477", ":9477", "host:", "host:70000", "a:b:1"]) {
    t.throws(() => parseListen(text), { message: /^cannot listen/ }, text);
  }
});

function delayAfter(failures: number, random: number): number {
  return backoffMs({ failures, firstMs: 1_000, maxMs: 60_000, random });
}

function summerDay(hour: number, minute: number): number {
  return new Date(2026, 5, 10, hour, minute, 1).getTime();
}
