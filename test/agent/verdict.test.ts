import test from "ava";
import { effectiveCheck } from "../../agent/health/effective-check.ts";
import { app, desired, service } from "../builders/desired-state.ts";
import { withHost } from "../simulation/simulated-host.ts";

test("a container that ends within a second of its start was never healthy", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web")])]));
    t.like(host.app("shop"), { verdict: "pending", reason: "shop-web-1 was started just now" });
    await host.clock.advance(900);
    host.runtime.exit("shop-web-1", { code: 3, oomKilled: false });
    await host.clock.advance(1_000);
    t.is(host.app("shop")?.verdict, "failed");
    t.regex(host.app("shop")?.reason ?? "", /exit code 3/);
    t.deepEqual(
      host.core.state.deploys().map(({ verdict }) => verdict),
      ["failed"],
    );
  }));

test("a container with a healthcheck is healthy at its first good probe, however young", (t) =>
  withHost(async (host) => {
    const healthcheck = {
      test: ["CMD", "check"],
      intervalMs: 1_000,
      timeoutMs: 1_000,
      retries: 1,
      startPeriodMs: 0,
      startIntervalMs: 1_000,
    };
    await host.commit(desired("a", [app("shop", [service("web", { healthcheck })])]));
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("an external volume is waited for, and never made", (t) =>
  withHost(async (host) => {
    const mounts = [
      { type: "volume", volume: "data", target: "/d", readOnly: false, copy: true } as const,
    ];
    const volumes = { data: { name: "others_data", labels: {}, external: true } };
    await host.commit(desired("a", [app("shop", [service("web", { mounts })], { volumes })]));
    t.regex(host.app("shop")?.reason ?? "", /external volume others_data .* does not exist/);
    t.deepEqual(host.runtime.volumeNames, []);
    await host.runtime.ensureVolume({ name: "others_data", labels: { owner: "others" } });
    await host.clock.advance(20_000);
    t.is(host.app("shop")?.verdict, "healthy");
    t.deepEqual((await host.runtime.observe()).volumes[0]?.labels, { owner: "others" });
  }));

test("an image's healthcheck is held to where the service says nothing, and its test where the service sets the pace", (t) => {
  const ofService = {
    test: [],
    intervalMs: 1_000,
    timeoutMs: 2_000,
    retries: 7,
    startPeriodMs: 3_000,
    startIntervalMs: 500,
  };
  const ofImage = { test: ["CMD", "/check"], intervalMs: 60_000 };
  t.like(effectiveCheck(undefined, ofImage), { ...ofImage, timeoutMs: 30_000, retries: 3 });
  t.deepEqual(effectiveCheck(ofService, ofImage), { ...ofService, test: ["CMD", "/check"] });
  t.deepEqual(effectiveCheck({ ...ofService, test: ["NONE"] }, ofImage)?.test, ["NONE"]);
  t.deepEqual(effectiveCheck({ ...ofService, test: ["CMD", "x"] }, ofImage)?.test, ["CMD", "x"]);
  t.is(effectiveCheck(ofService, undefined), undefined);
  t.is(effectiveCheck(undefined, undefined), undefined);
});

test("a program that ends before its start is known is restarted as often as its policy says", (t) =>
  withHost(async (host) => {
    host.runtime.endsAtOnce.set("shop-job-1", 3);
    const restart = { condition: "on-failure", attemptsMax: 2 } as const;
    await host.commit(desired("a", [app("shop", [service("job", { restart })])]));
    await host.clock.advance(60_000);
    const starts = host.takeCalls().filter((call) => call === "start shop-job-1");
    t.is(starts.length, 3);
    t.regex(host.app("shop")?.reason ?? "", /is not restarted after 2 restarts/);
  }));
