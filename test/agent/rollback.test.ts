import test from "ava";
import {
  explain,
  readHistory,
  resume,
  rollBackByHand,
  suspend,
} from "../../agent/control/control-rollouts.ts";
import { isReady, readStatus, syncNow } from "../../agent/control/control-status.ts";
import { neededImages } from "../../agent/images/needed-images.ts";
import type { DesiredState, Service } from "../../manifests/desired-state.ts";
import { app, desired, service, sha, tcpPort } from "../builders/desired-state.ts";
import { type SimulatedHost, withHost } from "../simulation/simulated-host.ts";
import { controlOf } from "./simulated-control.ts";

const always = { condition: "always" } as const;
const healthcheck = {
  test: ["CMD", "check"],
  intervalMs: 1_000,
  timeoutMs: 500,
  retries: 2,
  startPeriodMs: 0,
  startIntervalMs: 1_000,
};

/** What fails stays. */
const paused = {
  parallelism: 1,
  delayMs: 0,
  failureAction: "pause",
  monitorMs: 0,
  failureRatioMax: 0,
  order: "stop-first",
} as const;

const web = (user: string) => service("web", { user, restart: always });
const shop = (seed: string): DesiredState => desired(seed, [app("shop", [web(seed)])]);

/** A host on which revision a was healthy for long. */
async function withGood(
  work: (host: SimulatedHost) => Promise<void>,
  first: DesiredState = shop("a"),
): Promise<void> {
  await withHost(async (host) => {
    await host.commit(first);
    await host.clock.advance(60_000);
    await work(host);
  });
}

function user(host: SimulatedHost, name = "shop-web-1"): string | undefined {
  return host.runtime.status(name)?.spec.user;
}

test("a revision whose container ends soon after it was ready is taken back, and the evidence told", (t) =>
  withGood(async (host) => {
    await host.commit(shop("b"));
    await host.clock.advance(1_000);
    t.is(host.app("shop")?.verdict, "healthy");
    await host.clock.advance(2_000);
    host.runtime.exit("shop-web-1", { code: 3, oomKilled: false });
    await host.clock.advance(0);
    await host.clock.advance(1_000);
    t.is(user(host), "a");
    t.like(host.app("shop"), { verdict: "rolled-back", state: "running", revision: sha("a") });
    t.regex(
      host.app("shop")?.reason ?? "",
      /b{12} is held back: shop-web-1 ended with exit code 3/,
    );
    t.deepEqual(readStatus(controlOf(host)).quarantined, [sha("b")]);
    t.false(isReady(controlOf(host)));
    const history = await readHistory(controlOf(host), "shop");
    t.deepEqual(
      history.map(({ revision, cause, verdict }) => [revision.slice(0, 1), cause, verdict]),
      [
        ["a", "rollback", "healthy"],
        ["b", "commit", "rolled-back"],
        ["a", "commit", "healthy"],
      ],
    );
  }));

test("an end after the time of watching is the restart policy's business", (t) =>
  withGood(async (host) => {
    await host.commit(shop("b"));
    await host.clock.advance(12_000);
    host.runtime.exit("shop-web-1", { code: 3, oomKilled: false });
    await host.clock.advance(2_000);
    t.is(user(host), "b");
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("what failed is not tried again until the ref moves, over restarts of the agent", (t) =>
  withGood(async (host) => {
    host.runtime.fail("start shop-web-1", "no such program");
    host.runtime.fail("start shop-web-1", "no such program");
    await host.commit(shop("b"));
    await host.clock.advance(3_000);
    t.is(user(host), "a");
    host.takeCalls();
    await host.killAgent();
    await host.startAgent();
    await host.clock.advance(60_000);
    t.deepEqual(host.takeCalls(), []);
    t.is(host.app("shop")?.verdict, "rolled-back");
    await host.commit(shop("c"));
    await host.clock.advance(1_000);
    t.is(user(host), "c");
    t.like(host.app("shop"), { verdict: "healthy" });
    t.deepEqual(readStatus(controlOf(host)).quarantined, []);
  }));

test("a restart loop, a failed healthcheck and a kill for lack of memory each take a revision back", async (t) => {
  const failures: [RegExp, (host: SimulatedHost) => void, (host: SimulatedHost) => void][] = [
    [
      /restarted 3 times|ended with exit code 1/,
      (host) => host.runtime.endsAtOnce.set("shop-web-1", 1),
      (host) => host.runtime.endsAtOnce.clear(),
    ],
    [
      /shop-web-1 is unhealthy/,
      (host) => host.runtime.probes.set("shop-web-1", 1),
      (host) => host.runtime.probes.clear(),
    ],
    [
      /shop-web-1 ran out of memory: the kernel killed 2 processes of it, its limit is 64 MiB/,
      (host) => host.runtime.oomKills.set("shop-web-1", 2),
      (host) => host.runtime.oomKills.clear(),
    ],
  ];
  const good = (seed: string) =>
    desired(seed, [
      app("shop", [{ ...web(seed), healthcheck, resources: { memoryBytesMax: 64 * 1_048_576 } }]),
    ]);
  for (const [evidence, fail, mend] of failures) {
    await withGood(async (host) => {
      fail(host);
      await host.commit(good("b"));
      for (let tenth = 0; tenth < 50 && user(host) === "b"; tenth += 1) {
        await host.clock.advance(100);
      }
      mend(host);
      t.is(user(host), "a");
      // What it goes back to may have been restarted once as well before it was mended.
      await host.clock.advance(15_000);
      t.like(host.app("shop"), { verdict: "rolled-back" });
      t.regex(host.app("shop")?.reason ?? "", evidence);
    }, good("a"));
  }
});

test("without a revision before, a failure is told and nothing is held back", (t) =>
  withHost(async (host) => {
    host.runtime.endsAtOnce.set("shop-web-1", 1);
    await host.commit(shop("a"));
    await host.clock.advance(5_000);
    t.is(host.app("shop")?.verdict, "failed");
    t.deepEqual(readStatus(controlOf(host)).quarantined, []);
  }));

test("a container that failed before the rollout is not blamed on it", (t) =>
  withGood(
    async (host) => {
      host.runtime.endsAtOnce.set("shop-sick-1", 1);
      host.runtime.exit("shop-sick-1", { code: 1, oomKilled: false });
      await host.clock.advance(2_000);
      t.is(host.app("shop")?.verdict, "failed");
      await host.commit(
        desired("b", [app("shop", [web("b"), service("sick", { restart: always })])]),
      );
      await host.clock.advance(5_000);
      t.is(user(host), "b");
      t.is(host.app("shop")?.verdict, "failed");
    },
    desired("a", [app("shop", [web("a"), service("sick", { restart: always })])]),
  ));

test("only the app that failed goes back, unless the revision is one whole", async (t) => {
  for (const atomic of ["app", "revision"] as const) {
    const both = (seed: string) => ({
      ...desired(seed, [app("shop", [web(seed)]), app("side", [web(seed)])]),
      atomic,
    });
    await withGood(async (host) => {
      host.runtime.fail("start shop-web-1", "no such program");
      host.runtime.fail("start shop-web-1", "no such program");
      const fresh = app("fresh", [service("web")]);
      await host.commit({ ...both("b"), apps: [...both("b").apps, fresh] });
      await host.clock.advance(5_000);
      t.is(user(host), "a");
      t.is(user(host, "side-web-1"), atomic === "app" ? "b" : "a");
      t.is(host.state("fresh-web-1"), atomic === "app" ? "running" : undefined);
    }, both("a"));
  }
});

test("an app that took a port from the one that fails gives it back", (t) => {
  const port = { ports: [tcpPort(80)] };
  const first = desired("a", [
    app("shop", [{ ...web("a"), ...port }]),
    app("side", [service("web")]),
  ]);
  return withGood(async (host) => {
    host.runtime.fail("start shop-web-1", "no such program");
    host.runtime.fail("start shop-web-1", "no such program");
    await host.commit(desired("b", [app("shop", [web("b")]), app("side", [service("web", port)])]));
    await host.clock.advance(20_000);
    t.deepEqual(host.runtime.status("shop-web-1")?.publishedPorts, port.ports);
    t.deepEqual(host.runtime.status("side-web-1")?.publishedPorts, []);
    t.is(host.app("shop")?.verdict, "rolled-back");
  }, first);
});

test("an app that the failed revision brought goes again where it has the port of what comes back", (t) => {
  const port = { ports: [tcpPort(80)] };
  return withGood(
    async (host) => {
      host.runtime.fail("start shop-web-1", "no such program");
      host.runtime.fail("start shop-web-1", "no such program");
      const next = [app("shop", [web("b")]), app("side", [service("web", port)])];
      await host.commit(desired("b", next));
      await host.clock.advance(20_000);
      t.deepEqual(host.runtime.status("shop-web-1")?.publishedPorts, port.ports);
      t.is(host.runtime.status("side-web-1"), undefined);
      t.is(host.app("shop")?.verdict, "rolled-back");
    },
    desired("a", [app("shop", [{ ...web("a"), ...port }])]),
  );
});

test("an app of an earlier revision does not go for one that fails", (t) => {
  const port = { ports: [tcpPort(80)] };
  const side = app("side", [service("web", port)]);
  return withGood(
    async (host) => {
      host.runtime.endsAtOnce.set("shop-web-1", 1);
      const held = { ...web("b"), deploy: { update: paused } };
      await host.commit(desired("b", [app("shop", [held]), side]));
      await host.clock.advance(60_000);
      await host.commit(desired("c", [app("shop", [web("c")]), side]));
      await host.clock.advance(60_000);
      t.deepEqual(host.runtime.status("side-web-1")?.publishedPorts, port.ports);
      t.is(host.app("shop")?.verdict, "failed");
    },
    desired("a", [app("shop", [{ ...web("a"), ...port }])]),
  );
});

test("what was good at different times does not come back together where it shares a port", (t) => {
  const port = { ports: [tcpPort(80)] };
  const both = (seed: string, shop: Partial<Service>, side: Partial<Service>) =>
    desired(seed, [
      app("shop", [{ ...web(seed), ...shop }]),
      app("side", [{ ...web(seed), ...side }]),
    ]);
  return withGood(
    async (host) => {
      await host.commit(both("b", {}, port));
      await host.clock.advance(60_000);
      host.runtime.endsAtOnce.set("side-web-1", 1);
      await host.commit(both("c", port, { deploy: { update: paused } }));
      await host.clock.advance(60_000);
      host.runtime.endsAtOnce.clear();
      host.runtime.fail("start shop-web-1", "no such program");
      host.runtime.fail("start shop-web-1", "no such program");
      await host.commit(both("d", {}, port));
      await host.clock.advance(60_000);
      t.is(user(host), "c");
      t.is(user(host, "side-web-1"), "a", "of b it would have the same port");
      t.is(host.app("side")?.verdict, "rolled-back");
    },
    both("a", port, {}),
  );
});

test("apps come one after the other where the manifest says so, and stay when the first fails", (t) => {
  const ordered = (seed: string) =>
    desired(seed, [app("db", [web(seed)]), app("shop", [web(seed)], { after: ["db"] })]);
  return withGood(async (host) => {
    host.takeCalls();
    await host.commit(ordered("b"));
    t.is(user(host, "db-web-1"), "b");
    t.is(user(host), "a");
    t.regex(host.app("shop")?.reason ?? "", /waiting for app db, which comes before it/);
    await host.clock.advance(1_000);
    await host.clock.advance(1_000);
    t.is(user(host), "b");
    host.runtime.fail("start db-web-1", "no such program");
    host.runtime.fail("start db-web-1", "no such program");
    await host.commit(ordered("c"));
    await host.clock.advance(10_000);
    t.is(user(host), "b");
    t.regex(host.app("shop")?.reason ?? "", /app db, which comes before it, is held back/);
  }, ordered("a"));
});

test("sync waits for what goes back, and says that it did", (t) =>
  withGood(async (host) => {
    host.runtime.fail("start shop-web-1", "no such program");
    host.runtime.fail("start shop-web-1", "no such program");
    const syncing = syncNow(
      controlOf(host, () => host.commit(shop("b"))),
      AbortSignal.timeout(30_000),
      {},
    );
    await host.clock.advance(5_000);
    const report = await syncing;
    t.is(report.verdict, "rolled-back");
    t.regex(report.reason, /no such program/);
    t.is(user(host), "a");
  }));

test("sync does not blame what still runs for a revision that waits for its image", (t) =>
  withGood(async (host) => {
    host.runtime.endsAtOnce.set("shop-web-1", 1);
    host.runtime.exit("shop-web-1", { code: 1, oomKilled: false });
    await host.clock.advance(2_000);
    t.is(host.app("shop")?.verdict, "failed");
    host.runtime.endsAtOnce.clear();
    host.runtime.registry.add("web:2");
    host.runtime.pullMs = 3_000;
    const next = desired("b", [app("shop", [{ ...web("b"), image: "web:2" }])]);
    const syncing = syncNow(
      controlOf(host, () => host.commit(next)),
      AbortSignal.timeout(30_000),
      {},
    );
    await host.clock.advance(10_000);
    t.is((await syncing).verdict, "healthy");
    t.is(user(host), "b");
  }));

test("an operator puts an app back, and the next commit takes it on", (t) =>
  withGood(async (host) => {
    await host.commit(shop("b"));
    await host.clock.advance(30_000);
    const rollout = await rollBackByHand(controlOf(host), { app: "shop" });
    t.like(rollout, { revision: sha("a"), cause: "by-hand" });
    await host.clock.advance(1_000);
    t.is(user(host), "a");
    t.is(host.app("shop")?.verdict, "rolled-back");
    t.like(await explain(controlOf(host), "shop-web-1"), {
      reason: [{ field: "user", from: "b", to: "a" }],
      rollout: { cause: "by-hand", verdict: "healthy" },
    });
    await rollBackByHand(controlOf(host), { app: "shop", to: sha("b").slice(0, 8) });
    await host.clock.advance(1_000);
    t.is(user(host), "b");
    t.is(host.app("shop")?.verdict, "healthy");
    await rollBackByHand(controlOf(host), { app: "shop", to: sha("a") });
    await host.commit(shop("c"));
    await host.clock.advance(1_000);
    t.is(user(host), "c");
    await t.throwsAsync(rollBackByHand(controlOf(host), { app: "shop", to: "0000" }), {
      message: /is not known here: known are/,
    });
    await t.throwsAsync(rollBackByHand(controlOf(host), { app: "nobody" }), {
      message: /cannot find an app nobody: there are shop/,
    });
  }));

test("a change of the healthcheck alone is judged by what the new check says, however long it takes", (t) =>
  withHost(async (host) => {
    const checked = (seed: string, intervalMs: number) =>
      desired(seed, [
        app("shop", [
          service("web", {
            restart: always,
            healthcheck: { ...healthcheck, intervalMs, startIntervalMs: intervalMs },
          }),
        ]),
      ]);
    await host.commit(checked("a", 1_000));
    await host.clock.advance(60_000);
    host.takeCalls();
    host.runtime.probes.set("shop-web-1", 1);
    await host.commit(checked("b", 20_000));
    t.is(host.app("shop")?.verdict, "pending");
    await host.clock.advance(45_000);
    host.runtime.probes.clear();
    await host.clock.advance(30_000);
    t.is(host.app("shop")?.verdict, "rolled-back");
    t.regex(host.app("shop")?.reason ?? "", /shop-web-1 is unhealthy/);
    t.deepEqual(host.takeCalls(), [], "no container was touched");
  }));

test("a suspended app is left alone, by commits and by drift, until it is resumed", (t) =>
  withGood(async (host) => {
    await suspend(controlOf(host), "shop");
    host.takeCalls();
    await host.commit(shop("b"));
    await host.killAgent();
    const id = host.runtime.status("shop-web-1")?.spec.id ?? "";
    await host.runtime.signalContainer(id, "SIGKILL");
    await host.runtime.removeContainer(id);
    host.takeCalls();
    await host.startAgent();
    await host.clock.advance(30_000);
    t.deepEqual(host.takeCalls(), []);
    t.is(host.app("shop")?.state, "suspended");
    const newer = service("web", { user: "b", restart: always, image: "newer:1" });
    await host.commit(desired("c", [app("shop", [newer])]));
    await host.clock.advance(30_000);
    t.deepEqual(host.takeCalls(), [], "no image is pulled either");
    await host.commit(shop("b"));
    await resume(controlOf(host), "shop");
    await host.clock.advance(1_000);
    t.is(user(host), "b");
    t.is(host.app("shop")?.state, "running");
  }));

test("the status tells since when an app is suspended, also after a restart of the agent", (t) =>
  withGood(async (host) => {
    const { suspended: none } = readStatus(controlOf(host));
    t.deepEqual(none, []);
    const since = new Date(host.clock.now()).toISOString();
    await suspend(controlOf(host), "shop");
    await host.clock.advance(60_000);
    // What is suspended already stays so since it was.
    await suspend(controlOf(host), "shop");
    await host.killAgent();
    await host.startAgent();
    t.deepEqual(readStatus(controlOf(host)).suspended, [{ app: "shop", since }]);
    const sinceAll = new Date(host.clock.now()).toISOString();
    await suspend(controlOf(host));
    t.deepEqual(readStatus(controlOf(host)).suspended, [
      { app: "shop", since },
      { app: null, since: sinceAll },
    ]);
    await resume(controlOf(host), "shop");
    t.deepEqual(readStatus(controlOf(host)).suspended, [{ app: null, since: sinceAll }]);
    await resume(controlOf(host));
    t.deepEqual(readStatus(controlOf(host)).suspended, []);
  }));

test("resuming tries again what was held back", (t) =>
  withGood(async (host) => {
    host.runtime.fail("start shop-web-1", "no such program");
    host.runtime.fail("start shop-web-1", "no such program");
    await host.commit(shop("b"));
    await host.clock.advance(5_000);
    t.is(user(host), "a");
    await resume(controlOf(host), "shop");
    await host.clock.advance(1_000);
    t.is(user(host), "b");
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("the images of what an app can go back to are needed", (t) =>
  withGood(async (host) => {
    const old = host.runtime.status("shop-web-1")?.spec.image.digest ?? "";
    host.runtime.addImage("web:2");
    host.runtime.addImage("web:3");
    for (const [seed, image] of [
      ["b", "web:2"],
      ["c", "web:3"],
      ["d", "web:3"],
    ] as const) {
      await host.commit(desired(seed, [app("shop", [{ ...web(seed), image }])]));
      await host.clock.advance(30_000);
    }
    const needed = (await neededImages(host.core))();
    t.true(needed.has(host.runtime.imagesHere.get("web:3")?.digest ?? ""));
    t.true(needed.has(host.runtime.imagesHere.get("web:2")?.digest ?? ""));
    t.false(needed.has(old));
  }));

test("what a failed revision brought goes once, also where its removal fails at first", (t) =>
  withHost(async (host) => {
    const apps = [app("one", [service("web")]), app("two", [service("web")])];
    await host.commit({ ...desired("a", apps), atomic: "revision" });
    await host.clock.advance(3_000);
    t.is(host.app("two")?.verdict, "healthy");
    for (let times = 0; times < 4; times += 1) {
      host.runtime.fail("remove one-web-1", "database or disk is full");
    }
    host.runtime.exit("one-web-1", { code: 1, oomKilled: false });
    await host.clock.advance(30_000);
    t.deepEqual(
      host.core.enforcement.apps().map(({ app: { name } }) => name),
      [],
    );
    t.deepEqual(host.runtime.statuses(), []);
  }));
