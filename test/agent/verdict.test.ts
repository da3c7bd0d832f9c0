import test from "ava";
import { effectiveCheck } from "../../agent/health/effective-check.ts";
import { app, desired, service } from "../builders/desired-state.ts";
import { withHost } from "../simulation/simulated-host.ts";

test("a clock that was set back does not keep a container that was restarted from being ready", (t) =>
  withHost(async (host) => {
    const web = service("web", { restart: { condition: "always" } });
    await host.commit(desired("a", [app("shop", [web])]));
    await host.clock.advance(5_000);
    host.runtime.exit("shop-web-1", { code: 1, oomKilled: false });
    await host.clock.advance(20_000);
    host.clock.jump(-3_600_000);
    await host.commit(desired("b", [app("shop", [web, service("db")])]));
    await host.clock.advance(15_000);
    t.is(host.app("shop")?.verdict, "healthy");
  }));

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
      host.core.state.rollouts().map(({ verdict }) => verdict),
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

test("an external network is waited for until its owner has made it", (t) =>
  withHost(async (host) => {
    const networks = { shared: { name: "shared", internal: false, labels: {}, external: true } };
    const web = service("web", { networks: { shared: [] } });
    const guest = app("guest", [web], { networks });
    await host.commit(desired("a", [guest]));
    t.regex(host.app("guest")?.reason ?? "", /external network shared .* does not exist/);
    const own = { shared: { name: "shared", internal: false, labels: {} } };
    const owner = app("owner", [service("db", { networks: { shared: [] } })], { networks: own });
    await host.commit(desired("b", [guest, owner]));
    await host.clock.advance(20_000);
    t.is(host.app("guest")?.verdict, "healthy");
    t.deepEqual(host.runtime.status("guest-web-1")?.spec.networks, [
      { network: "shared", aliases: ["web"] },
    ]);
  }));

test("other addresses of a network make it anew, other reserved ones do not", (t) =>
  withHost(async (host) => {
    const web = service("web", {
      networks: { back: [], front: [] },
      endpoints: { front: { ipv4Address: "10.9.0.5", priority: 1 } },
    });
    const shop = (subnet: string, reserved: readonly string[]) => {
      const front = { name: "f", internal: false, labels: {}, addresses: { subnet, reserved } };
      const networks = { front, back: { name: "b", internal: false, labels: {} } };
      return app("shop", [web], { networks });
    };
    await host.commit(desired("a", [shop("10.9.0.0/24", ["10.9.0.5"])]));
    t.deepEqual(host.runtime.status("shop-web-1")?.spec.networks, [
      { network: "f", aliases: ["web"], ipv4Address: "10.9.0.5" },
      { network: "b", aliases: ["web"] },
    ]);
    host.takeCalls();
    await host.commit(desired("b", [shop("10.9.0.0/24", ["10.9.0.5", "10.9.0.9"])]));
    t.deepEqual(host.takeCalls(), ["network f"]);
    await host.commit(desired("c", [shop("10.9.0.0/16", ["10.9.0.5", "10.9.0.9"])]));
    t.true(host.takeCalls().includes("remove-network f"));
    await host.clock.advance(1_000);
    t.is(host.app("shop")?.verdict, "healthy");
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
