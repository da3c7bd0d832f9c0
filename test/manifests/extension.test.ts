import test from "ava";
import { errorsOf, serviceOf } from "./compile.ts";

const file = (lines: string) => `services:\n  web:\n    image: nginx\n    ${lines}\n`;
const web = (lines: string) => serviceOf(file(lines));
const slow = { startPeriodMs: 0, startIntervalMs: 5000, timeoutMs: 30_000 };

test("a probe over HTTP or TCP is a service's healthcheck, with Compose's timing", async (t) => {
  t.deepEqual((await web("x-berth: {probe: {tcp: 5432}}")).healthcheck, {
    probe: { kind: "tcp", port: 5432 },
    test: [],
    ...slow,
    intervalMs: 30_000,
    retries: 3,
  });
  const http = "http: {port: 80, path: '/ok?x=1', host: a.example, status: 200-204}";
  t.deepEqual(
    (await web(`x-berth: {probe: {${http}, interval: 2s, retries: 5, start_period: 1m}}`))
      .healthcheck,
    {
      probe: {
        kind: "http",
        port: 80,
        path: "/ok?x=1",
        host: "a.example",
        statusMin: 200,
        statusMax: 204,
      },
      test: [],
      ...slow,
      startPeriodMs: 60_000,
      intervalMs: 2000,
      retries: 5,
    },
  );
  t.like((await web("x-berth: {probe: {http: 8080}}")).healthcheck, {
    probe: { kind: "http", port: 8080, path: "/", statusMin: 200, statusMax: 399 },
  });
});

test("an unhealthy container is restarted where that is asked for only", async (t) => {
  t.is((await web("x-berth: {on-unhealthy: restart}")).onUnhealthy, "restart");
  t.false("onUnhealthy" in (await web("x-berth: {on-unhealthy: leave}")));
});

test("bounds of what a changed service may use are shares", async (t) => {
  const bounds = "cpu-throttled: 20%, memory-growth: 150%, io-pressure: 0.5%";
  t.deepEqual((await web(`x-berth: {bounds: {${bounds}}}`)).bounds, {
    cpuThrottledMax: 0.2,
    ioPressureMax: 0.005,
    memoryGrowthMax: 1.5,
  });
  t.false("bounds" in (await web("x-berth: {on-unhealthy: leave}")));
});

test("a tag is watched at the interval that the service says", async (t) => {
  t.is((await web("x-berth: {watch-tag: 5m}")).watchTagMs, 300_000);
});

test("a canary runs alone for the time that the service says", async (t) => {
  t.is((await web("scale: 2\n    x-berth: {canary: 30s}")).canaryMs, 30_000);
});

/** Lines of a service -> the mistake that is told. */
const wrong: readonly (readonly [string, RegExp])[] = [
  ["x-berth: {probe: {interval: 1s}}", /x-berth\.probe: either http or tcp is expected$/],
  ["x-berth: {probe: {http: 80, tcp: 80}}", /x-berth\.probe: either http or tcp is expected$/],
  ["x-berth: {bounds: {cpu-throttled: 101%}}", /"101%" is not a percentage from 0% to 100%/],
  [
    "x-berth: {bounds: {memory-growth: 2}}",
    /bounds\.memory-growth: .*a percentage from 0% to 1000%/,
  ],
  ["x-berth: {bounds: {cpu: 20%}}", /bounds.*cpu/],
  ["x-berth: {probe: {tcp: 0}}", /probe\.tcp: 0 is not a whole number from 1 to 65535$/],
  ["x-berth: {probe: {http: {port: 80, path: ok}}}", /"ok" is not a path that begins with \//],
  ["x-berth: {probe: {http: {port: 80, status: 300-200}}}", /is not a status or a range of them/],
  ["x-berth: {probe: {http: {port: 80, status: 99}}}", /from 100 to 599/],
  ["{scale: 2, x-berth: {canary: 10ms}}", /canary: 1s is the shortest time$/],
  [
    "x-berth: {canary: 1m}",
    /canary lets one replica go first, .*: set deploy.replicas to 2 or more$/,
  ],
  ["x-berth: {watch-tag: 1s}", /watch-tag: 10s is the shortest interval$/],
  [
    "{pull_policy: never, x-berth: {watch-tag: 1m}}",
    /watch-tag pulls what moved, and pull_policy is never: remove one$/,
  ],
  ["x-berth: {prob: {tcp: 1}}", /x-berth\.prob: berth knows no such key; did you mean "probe"\?/],
  ["x-berth: {on-unhealthy: reboot}", /on-unhealthy: restart or leave is expected$/],
  [
    "{healthcheck: {test: 'true'}, x-berth: {probe: {tcp: 1}}}",
    /healthcheck: x-berth\.probe is there too, and decides the same: keep one of them$/,
  ],
];

for (const [lines, expected] of wrong) {
  test(`a mistake in an extension is told: ${lines}`, async (t) => {
    const text = lines.startsWith("{")
      ? `services:\n  web: {image: nginx, ${lines.slice(1)}\n`
      : file(lines);
    const errors = await errorsOf({ "web/compose.yaml": text });
    t.is(errors.length, 1);
    t.regex(errors[0] ?? "", expected);
  });
}

test("extensions of others are passed over", async (t) => {
  t.deepEqual(await errorsOf({ "web/compose.yaml": file("x-other: {anything: [1]}") }), []);
});
