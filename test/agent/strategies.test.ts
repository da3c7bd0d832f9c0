import test from "ava";
import type { UpdatePolicy } from "../../manifests/desired-state.ts";
import { app, desired, service, tcpPort } from "../builders/desired-state.ts";
import { type SimulatedHost, withHost } from "../simulation/simulated-host.ts";

const policy: UpdatePolicy = {
  parallelism: 1,
  delayMs: 0,
  failureAction: "rollback",
  monitorMs: 0,
  failureRatioMax: 0,
  order: "stop-first",
};

const healthcheck = {
  test: ["CMD", "check"],
  intervalMs: 500,
  timeoutMs: 500,
  retries: 2,
  startPeriodMs: 0,
  startIntervalMs: 500,
};

function startFirst(user: string) {
  const deploy = { update: { ...policy, order: "start-first" } } as const;
  return service("web", { user, deploy, healthcheck, ports: [tcpPort(80)], restart: always });
}
const always = { condition: "always" } as const;

function replicated(user: string, update: Partial<UpdatePolicy>) {
  const deploy = { update: { ...policy, ...update } };
  return service("web", { user, deploy, replicas: 4, restart: always });
}

async function users(host: SimulatedHost): Promise<string> {
  const { containers } = await host.runtime.observe();
  const sorted = containers.toSorted((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  return sorted.map(({ spec }) => spec.user).join("");
}

/** Who the kernel sends port 80 to. */
async function serving(host: SimulatedHost): Promise<string[]> {
  const { containers } = await host.runtime.observe();
  return containers.flatMap(({ spec, publishedPorts }) =>
    publishedPorts.length > 0 ? [spec.user ?? ""] : [],
  );
}

test("start-first: the successor takes over once it is healthy, and only then the other is stopped", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [startFirst("a")])]));
    await host.clock.advance(20_000);
    host.takeCalls();
    host.runtime.probes.set("shop-web-1", 1);
    await host.commit(desired("b", [app("shop", [startFirst("b")])]));
    t.deepEqual(await serving(host), ["a"]);
    t.deepEqual(host.takeCalls(), ["create shop-web-1", "start shop-web-1"]);
    t.is(host.app("shop")?.verdict, "pending");
    const old = host.runtime.status("shop-web-1")?.spec.id ?? "";
    host.runtime.connections.set(old, 2);
    host.runtime.probes.clear();
    await host.clock.advance(1_000);
    t.deepEqual(await serving(host), ["b"]);
    t.deepEqual(host.takeCalls(), ["hand-over shop-web-1"], "what is open is waited for");
    host.runtime.connections.clear();
    await host.clock.advance(1_000);
    t.deepEqual(host.takeCalls(), ["stop shop-web-1", "remove shop-web-1"]);
    t.is(host.app("shop")?.verdict, "healthy");
    t.is(await users(host), "b");
  }));

test("start-first: connections that stay open are waited for only as long as a stop may take", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [startFirst("a")])]));
    await host.clock.advance(20_000);
    host.runtime.connections.set(host.runtime.status("shop-web-1")?.spec.id ?? "", 1);
    await host.commit(desired("b", [app("shop", [startFirst("b")])]));
    await host.clock.advance(9_000);
    t.is(await users(host), "ab");
    await host.clock.advance(3_000);
    t.is(await users(host), "b");
  }));

test("start-first: a successor that fails goes, and what served was never touched", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [startFirst("a")])]));
    await host.clock.advance(20_000);
    const before = host.runtime.status("shop-web-1");
    host.takeCalls();
    host.runtime.fail("start shop-web-1", "no such program");
    host.runtime.fail("start shop-web-1", "no such program");
    await host.commit(desired("b", [app("shop", [startFirst("b")])]));
    await host.clock.advance(10_000);
    t.deepEqual(host.runtime.status("shop-web-1"), before);
    t.is(await users(host), "a");
    t.false(host.takeCalls().includes("stop shop-web-1"));
    t.is(host.app("shop")?.verdict, "rolled-back");
  }));

test("start-first: a successor that never got ready goes as soon as another one comes", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [startFirst("a")])]));
    await host.clock.advance(500);
    // Nothing was good so far: what fails stays.
    host.runtime.probes.set("shop-web-1", 1);
    for (const seed of ["b", "c", "d"]) {
      await host.commit(desired(seed, [app("shop", [startFirst(seed)])]));
      await host.clock.advance(20_000);
    }
    t.is(await users(host), "ad");
    t.deepEqual(await serving(host), ["a"]);
  }));

test("start-first: an agent that dies at any point of it is followed by one that ends it", async (t) => {
  for (const waitMs of [0, 600, 1_100, 5_000]) {
    await withHost(async (host) => {
      await host.commit(desired("a", [app("shop", [startFirst("a")])]));
      await host.clock.advance(20_000);
      host.runtime.connections.set(host.runtime.status("shop-web-1")?.spec.id ?? "", 1);
      host.runtime.probes.set("shop-web-1", waitMs === 0 ? 1 : 0);
      await host.commit(desired("b", [app("shop", [startFirst("b")])]));
      await host.clock.advance(waitMs);
      await host.killAgent();
      host.runtime.probes.clear();
      await host.startAgent();
      await host.clock.advance(30_000);
      t.deepEqual(await serving(host), ["b"], `after ${waitMs} ms`);
      t.is(await users(host), "b");
      t.is(host.app("shop")?.verdict, "healthy");
    });
  }
});

test("a rolling update replaces so many replicas at a time, the next ones once those are up", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [replicated("a", {})])]));
    await host.clock.advance(20_000);
    await host.commit(desired("b", [app("shop", [replicated("b", { parallelism: 2 })])]));
    const seen = new Set([await users(host)]);
    for (let tenth = 0; tenth < 40; tenth += 1) {
      await host.clock.advance(100);
      seen.add(await users(host));
    }
    t.deepEqual([...seen], ["bbaa", "bbbb"]);
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("a rolling update waits between groups, and stops at a replica that fails", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [replicated("a", {})])]));
    await host.clock.advance(20_000);
    await host.commit(desired("b", [app("shop", [replicated("b", { delayMs: 5_000 })])]));
    await host.clock.advance(4_000);
    t.is(await users(host), "baaa");
    await host.clock.advance(2_000);
    t.is(await users(host), "bbaa");
    await host.clock.advance(30_000);
    t.is(await users(host), "bbbb");
    await host.clock.advance(20_000);
    host.runtime.endsAtOnce.set("shop-web-2", 3);
    const pausing = replicated("c", { failureAction: "pause" });
    await host.commit(desired("c", [app("shop", [pausing])]));
    await host.clock.advance(20_000);
    t.is(await users(host), "ccbb");
    t.is(host.app("shop")?.verdict, "failed");
    host.runtime.endsAtOnce.clear();
  }));

test("a canary runs alone for its time, then the others follow as the policy says", async (t) => {
  for (const deploy of [{}, { update: { ...policy, parallelism: 3 } }]) {
    const web = (user: string) =>
      service("web", { user, deploy, replicas: 4, restart: always, canaryMs: 10_000 });
    await withHost(async (host) => {
      await host.commit(desired("a", [app("shop", [web("a")])]));
      await host.clock.advance(20_000);
      t.is(await users(host), "aaaa", "a first start has none");
      await host.commit(desired("b", [app("shop", [web("b")])]));
      await host.clock.advance(5_000);
      // A canary outlives the agent that began it.
      await host.killAgent();
      await host.startAgent();
      await host.clock.advance(4_000);
      t.is(await users(host), "baaa");
      t.is(host.app("shop")?.verdict, "pending");
      await host.clock.advance(3_000);
      t.is(await users(host), "bbbb");
      await host.clock.advance(3_000);
      t.is(host.app("shop")?.verdict, "healthy");
    });
  }
});

test("a canary that fails is put back, and the others are never touched", async (t) => {
  for (const endsAfterMs of [0, 5_000]) {
    const web = (user: string) =>
      service("web", { user, replicas: 3, restart: always, canaryMs: 10_000 });
    await withHost(async (host) => {
      await host.commit(desired("a", [app("shop", [web("a")])]));
      await host.clock.advance(20_000);
      host.takeCalls();
      if (endsAfterMs === 0) host.runtime.endsAtOnce.set("shop-web-1", 3);
      await host.commit(desired("b", [app("shop", [web("b")])]));
      await host.clock.advance(endsAfterMs);
      host.runtime.endsAtOnce.set("shop-web-1", 3);
      const canary = host.runtime.status("shop-web-1")?.spec.id ?? "";
      if (endsAfterMs > 0) await host.runtime.signalContainer(canary, "SIGKILL");
      await host.clock.advance(2_000);
      host.runtime.endsAtOnce.clear();
      await host.clock.advance(30_000);
      t.is(await users(host), "aaa");
      t.deepEqual(
        host.takeCalls().filter((call) => !call.includes("shop-web-1")),
        [],
      );
      t.is(host.app("shop")?.verdict, "rolled-back");
      t.regex(host.app("shop")?.reason ?? "", /shop-web-1/);
    });
  }
});

test("as many replicas may fail as the manifest allows, one more takes the revision back", async (t) => {
  for (const [failureRatioMax, left] of [
    [0.5, "bbbb"],
    [0.2, "aaaa"],
  ] as const) {
    await withHost(async (host) => {
      await host.commit(desired("a", [app("shop", [replicated("a", {})])]));
      await host.clock.advance(20_000);
      host.runtime.oomKills.set("shop-web-1", 1);
      const tolerant = replicated("b", { failureRatioMax, parallelism: 0 });
      await host.commit(desired("b", [app("shop", [tolerant])]));
      await host.clock.advance(3_000);
      host.runtime.oomKills.clear();
      await host.clock.advance(30_000);
      t.is(await users(host), left);
    });
  }
});

test("the way back follows rollback_config, and update_config where that is not written", async (t) => {
  for (const rollback of [
    undefined,
    { ...policy, parallelism: 2, failureAction: "pause" } as const,
  ]) {
    await withHost(async (host) => {
      const web = (user: string) => {
        const update = { ...policy, parallelism: 4 };
        const deploy = { update, ...(rollback === undefined ? {} : { rollback }) };
        return service("web", { user, deploy, replicas: 4, restart: always });
      };
      await host.commit(desired("a", [app("shop", [web("a")])]));
      await host.clock.advance(20_000);
      await host.commit(desired("b", [app("shop", [web("b")])]));
      await host.clock.advance(2_000);
      t.is(await users(host), "bbbb");
      host.runtime.exit("shop-web-1", { code: 1, oomKilled: false });
      await host.clock.advance(500);
      t.is(await users(host), rollback === undefined ? "aaaa" : "aabb");
      await host.clock.advance(20_000);
      t.is(await users(host), "aaaa");
      t.is(host.app("shop")?.verdict, "rolled-back");
    });
  }
});

test("the way back starts first where rollback_config says so", (t) =>
  withHost(async (host) => {
    const web = (user: string) => {
      const rollback = { ...policy, order: "start-first", failureAction: "pause" } as const;
      return service("web", { user, deploy: { update: policy, rollback }, restart: always });
    };
    await host.commit(desired("a", [app("shop", [web("a")])]));
    await host.clock.advance(20_000);
    await host.commit(desired("b", [app("shop", [web("b")])]));
    await host.clock.advance(2_000);
    host.runtime.oomKills.set("shop-web-1", 1);
    host.takeCalls();
    await host.clock.advance(15_000);
    t.deepEqual(host.takeCalls(), [
      "create shop-web-1",
      "start shop-web-1",
      "hand-over shop-web-1",
      "stop shop-web-1",
      "remove shop-web-1",
    ]);
    t.is(await users(host), "a");
  }));

test("the verdict waits for as long as the manifest says that a rollout is watched", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [replicated("a", { monitorMs: 30_000 })])]));
    await host.clock.advance(20_000);
    t.like(host.app("shop"), { verdict: "pending" });
    t.regex(host.app("shop")?.reason ?? "", /watched for (20|1\d) s more/);
    await host.clock.advance(12_000);
    t.is(host.app("shop")?.verdict, "healthy");
  }));
