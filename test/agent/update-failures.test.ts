import test from "ava";
import type { UpdatePolicy } from "../../manifests/desired-state.ts";
import { app, desired, service, tcpPort } from "../builders/desired-state.ts";
import { type SimulatedHost, withHost } from "../simulation/simulated-host.ts";

const policy: UpdatePolicy = {
  parallelism: 1,
  delayMs: 0,
  failureAction: "rollback",
  monitorMs: 5_000,
  failureRatioMax: 0,
  order: "stop-first",
};
const always = { condition: "always" } as const;

function web(user: string, update: Partial<UpdatePolicy>, rollback?: Partial<UpdatePolicy>) {
  const deploy = {
    update: { ...policy, ...update },
    // The type knows only what a rollback may do about failures.
    ...(rollback === undefined ? {} : { rollback: { ...policy, ...rollback } as never }),
  };
  return service("web", { user, deploy, replicas: 4, restart: always });
}

const shop = (seed: string, ...policies: [Partial<UpdatePolicy>, Partial<UpdatePolicy>?]) =>
  desired(seed, [app("shop", [web(seed, ...policies)])]);

/** A host where revision a was good; its container `shop-web-1` ends at once, or cannot be started, from now on. */
async function withFailing(
  how: "ends at once" | "cannot be started",
  work: (host: SimulatedHost) => Promise<void>,
): Promise<void> {
  await withHost(async (host) => {
    await host.commit(shop("a", {}));
    await host.clock.advance(30_000);
    if (how === "ends at once") host.runtime.endsAtOnce.set("shop-web-1", 3);
    else {
      for (let times = 0; times < 100; times += 1)
        host.runtime.fail("start shop-web-1", "no such program");
    }
    await work(host);
  });
}

async function users(host: SimulatedHost): Promise<string> {
  const { containers } = await host.runtime.observe();
  const sorted = containers.toSorted((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  return sorted.map(({ spec }) => spec.user).join("");
}

for (const how of ["ends at once", "cannot be started"] as const) {
  test(`continue: a replica that ${how} keeps no other from its change, and nothing goes back`, (t) =>
    withFailing(how, async (host) => {
      await host.commit(shop("b", { failureAction: "continue" }));
      await host.clock.advance(120_000);
      t.is(await users(host), "bbbb");
      t.is(host.app("shop")?.verdict, "failed");
      t.regex(host.app("shop")?.reason ?? "", /shop-web-1|no such program/);
    }));

  test(`pause: after a replica that ${how} nothing more is changed, and nothing goes back`, (t) =>
    withFailing(how, async (host) => {
      await host.commit(shop("b", { failureAction: "pause", parallelism: 2 }));
      await host.clock.advance(120_000);
      t.is(await users(host), "bbaa");
      t.is(host.app("shop")?.verdict, "failed");
    }));

  test(`pause: as many replicas may fail as the ratio allows, here one that ${how}`, (t) =>
    withFailing(how, async (host) => {
      await host.commit(shop("b", { failureAction: "pause", failureRatioMax: 0.25 }));
      await host.clock.advance(120_000);
      t.is(await users(host), "bbbb");
    }));

  test(`rollback: a replica that ${how} is passed over where the ratio allows it`, (t) =>
    withFailing(how, async (host) => {
      await host.commit(shop("b", { failureRatioMax: 0.25 }));
      await host.clock.advance(120_000);
      t.is(await users(host), "bbbb");
      t.is(host.app("shop")?.verdict, "failed");
    }));
}

test("rollback: one more than the ratio allows takes all of them back", (t) =>
  withFailing("ends at once", async (host) => {
    host.runtime.endsAtOnce.set("shop-web-2", 3);
    await host.commit(shop("b", { failureRatioMax: 0.25 }));
    for (let second = 0; second < 60; second += 1) {
      await host.clock.advance(1_000);
      t.notRegex(await users(host), /b.*b.*b/, "the third waits");
    }
    host.runtime.endsAtOnce.clear();
    await host.clock.advance(300_000);
    t.is(await users(host), "aaaa");
    t.is(host.app("shop")?.verdict, "rolled-back");
  }));

test("pause: what comes up again, and stays so for the time of watching, lets the others follow", (t) =>
  withFailing("ends at once", async (host) => {
    await host.commit(shop("b", { failureAction: "pause", monitorMs: 20_000 }));
    await host.clock.advance(10_000);
    t.is(await users(host), "baaa");
    host.runtime.endsAtOnce.clear();
    await host.clock.advance(10_000);
    t.is(await users(host), "baaa", "it ended a moment ago");
    await host.clock.advance(120_000);
    t.is(await users(host), "bbbb");
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("the way back does about failures what rollback_config says", async (t) => {
  for (const [failureAction, left] of [
    ["pause", "abbb"],
    ["continue", "aaaa"],
  ] as const) {
    await withHost(async (host) => {
      const both = (seed: string) => shop(seed, { parallelism: 4 }, { failureAction });
      await host.commit(both("a"));
      await host.clock.advance(30_000);
      await host.commit(both("b"));
      await host.clock.advance(2_000);
      t.is(await users(host), "bbbb");
      // It is what goes back first, and comes up as little as what failed.
      host.runtime.endsAtOnce.set("shop-web-1", 3);
      host.runtime.oomKills.set("shop-web-2", 1);
      await host.clock.advance(60_000);
      t.is(await users(host), left, failureAction);
    });
  }
});

test("a port of a replica whose change has to wait is not given to another app before", (t) =>
  withHost(async (host) => {
    const many = (user: string) => ({ ...web(user, {}), canaryMs: 20_000 });
    const port = { ports: [tcpPort(80)] };
    const before = { ...many("a"), replicas: 1, ...port };
    const other = service("web", { restart: always });
    await host.commit(desired("a", [app("shop", [before]), app("side", [other])]));
    await host.clock.advance(30_000);
    // The others are there before it can be changed: one of them is the canary.
    host.runtime.fail("stop shop-web-1", "busy");
    await host.commit(desired("b", [app("shop", [many("b")]), app("side", [other])]));
    await host.clock.advance(3_000);
    await host.commit(
      desired("c", [app("shop", [many("b")]), app("side", [{ ...other, ...port }])]),
    );
    await host.clock.advance(10_000);
    t.is(host.runtime.status("shop-web-1")?.spec.user, "a");
    t.deepEqual(host.runtime.status("side-web-1")?.spec.ports, []);
    t.is(host.state("side-web-1"), "running", "what served goes on meanwhile");
    t.regex(host.app("side")?.reason ?? "", /waiting for shop-web-1 to let go of port 80/);
    await host.clock.advance(60_000);
    t.is(host.runtime.status("shop-web-1")?.spec.user, "b");
    t.is(host.runtime.status("side-web-1")?.publishedPorts.length, 1);
    t.is(host.app("side")?.verdict, "healthy");
  }));

test("a clock that is set back keeps no replica from its change", async (t) => {
  for (const canaryMs of [0, 20_000]) {
    await withHost(async (host) => {
      const paced = (user: string) => ({ ...web(user, { delayMs: 5_000 }), canaryMs });
      await host.commit(desired("a", [app("shop", [paced("a")])]));
      await host.clock.advance(30_000);
      await host.commit(desired("b", [app("shop", [paced("b")])]));
      await host.clock.advance(2_000);
      t.is(await users(host), "baaa");
      host.clock.jump(-3_600_000);
      await host.clock.advance(120_000);
      t.is(await users(host), "bbbb");
    });
  }
});
