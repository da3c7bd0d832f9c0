import test from "ava";
import { app, desired, healthy, service, sha, started } from "../builders/desired-state.ts";
import { withHost } from "../simulation/simulated-host.ts";

const healthcheck = {
  test: ["CMD", "check"],
  intervalMs: 1_000,
  timeoutMs: 1_000,
  retries: 2,
  startPeriodMs: 0,
  startIntervalMs: 1_000,
};

test("the next agent adopts what runs and touches nothing", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web"), service("db")])]));
    await host.killAgent();
    host.takeCalls();
    await host.startAgent();
    await host.clock.advance(30_000);
    t.deepEqual(host.takeCalls(), []);
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("an agent that died while a container was being made finishes the job", (t) =>
  withHost(async (host) => {
    host.runtime.fail("start shop-web-1", "killed");
    await host.commit(desired("a", [app("shop", [service("web")])]));
    const id = host.runtime.status("shop-web-1")?.spec.id;
    const step = "start-container shop-web-1";
    host.core.live.beginIntent(
      { step, kind: "start-container", target: "shop-web-1", containerId: id },
      0,
    );
    await host.killAgent();
    await host.startAgent();
    t.is(host.state("shop-web-1"), "running");
    t.is(host.runtime.status("shop-web-1")?.spec.id, id);
    t.deepEqual(host.core.live.openIntents(), []);
  }));

test("why a container was made is known though the agent was killed right after that", (t) =>
  withHost(async (host) => {
    const { createContainer } = host.runtime;
    host.runtime.createContainer = async (spec, options) => {
      await createContainer.call(host.runtime, spec, options);
      host.stopDead();
    };
    await host.commit(desired("a", [app("shop", [service("web")])]));
    await host.killAgent();
    host.runtime.createContainer = createContainer;
    await host.startAgent();
    t.is(host.runtime.calls.filter((call) => call.startsWith("create")).length, 1);
    const { id = "" } = host.runtime.status("shop-web-1")?.spec ?? {};
    t.is(host.core.live.reason(id)?.revision, sha("a"));
  }));

test("a container that could not be made leaves no reason behind", (t) =>
  withHost(async (host) => {
    const ids: string[] = [];
    host.runtime.disturb = async (call, container) => {
      if (!call.startsWith("create")) return;
      ids.push(container?.spec.id ?? "");
      throw new Error("no space");
    };
    await host.commit(desired("a", [app("shop", [service("web")])]));
    t.is(ids.length, 1);
    t.is(host.core.live.reason(ids[0] ?? ""), undefined);
  }));

test("after a reboot everything that ran is started again, in the order of dependencies", (t) =>
  withHost(async (host) => {
    const web = service("web", { dependsOn: { db: started } });
    await host.commit(desired("a", [app("shop", [web, service("db")])]));
    host.takeCalls();
    await host.reboot();
    t.deepEqual(host.takeCalls(), ["start shop-db-1", "start shop-web-1"]);
  }));

test("after a reboot a dependent waits until what it depends on is healthy again", (t) =>
  withHost(async (host) => {
    const db = service("db", { healthcheck });
    const web = service("web", { dependsOn: { db: healthy } });
    await host.commit(desired("a", [app("shop", [web, db])]));
    t.is(host.state("shop-web-1"), "running");
    host.runtime.probes.set("shop-db-1", 1);
    await host.reboot();
    await host.clock.advance(5_000);
    t.is(host.state("shop-db-1"), "running");
    t.is(host.state("shop-web-1"), "exited");
    host.runtime.probes.set("shop-db-1", 0);
    await host.clock.advance(5_000);
    t.is(host.state("shop-web-1"), "running");
  }));

test("an unhealthy container is ended and started again where its service asks for it, with growing pauses", (t) =>
  withHost(async (host) => {
    const no = { condition: "no" } as const;
    const web = service("web", { healthcheck, restart: no, onUnhealthy: "restart" });
    const db = service("db", { healthcheck });
    await host.commit(desired("a", [app("shop", [web, db])]));
    await host.clock.advance(30_000);
    const [ofWeb, ofDb] = ["shop-web-1", "shop-db-1"].map(
      (name) => host.runtime.status(name)?.startedAtMs,
    );
    host.runtime.probes.set("shop-web-1", 1);
    host.runtime.probes.set("shop-db-1", 1);
    await host.clock.advance(5_000);
    host.runtime.probes.clear();
    await host.clock.advance(5_000);
    t.is(host.state("shop-web-1"), "running");
    t.true((host.runtime.status("shop-web-1")?.startedAtMs ?? 0) > (ofWeb ?? Infinity));
    t.is(host.runtime.status("shop-db-1")?.startedAtMs, ofDb);
  }));

for (const [when, end] of [
  ["and it ended meanwhile", true],
  ["and it still runs", false],
] as const) {
  test(`an agent that died while it ended an unhealthy container: the next one starts it again, ${when}`, (t) =>
    withHost(async (host) => {
      const no = { condition: "no" } as const;
      const web = service("web", { healthcheck, restart: no, onUnhealthy: "restart" });
      await host.commit(desired("a", [app("shop", [web])]));
      await host.clock.advance(30_000);
      host.runtime.stopMs.set("shop-web-1", 10_000);
      host.runtime.probes.set("shop-web-1", 1);
      await host.clock.advance(5_000);
      t.is(host.state("shop-web-1"), "running");
      await host.killAgent();
      const { startedAtMs = 0, spec } = host.runtime.status("shop-web-1") ?? {};
      host.runtime.probes.clear();
      if (end) host.runtime.exit("shop-web-1", { code: 0, oomKilled: false });
      await host.startAgent();
      const { exit } = host.runtime.status("shop-web-1") ?? {};
      // What ended without an agent is told to the next one.
      if (exit !== undefined) host.core.supervisor.handleExit(spec?.id ?? "", exit);
      await host.clock.advance(15_000);
      t.is(host.state("shop-web-1"), "running");
      t.true((host.runtime.status("shop-web-1")?.startedAtMs ?? 0) > startedAtMs);
      host.runtime.exit("shop-web-1", { code: 0, oomKilled: false });
      await host.clock.advance(5_000);
      t.is(host.state("shop-web-1"), "exited", "the next end is one like any other");
    }));
}

test("a failed pull that nobody needs any more does not keep the loop awake", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web", { image: "web:2" })])]));
    t.is(host.app("shop")?.verdict, "failed");
    // It arrives another way (`berth load`) while its pull counts as failed.
    host.runtime.addImage("web:2");
    await host.clock.advance(10_000);
    await host.clock.advance(1_000);
    t.is(host.app("shop")?.verdict, "healthy");
    const rounds = host.loop.roundsBegun;
    await host.clock.advance(60_000);
    t.is(host.loop.roundsBegun - rounds, 6, "one round for each drift check");
  }));

test("a thousand services that are as wanted are all left alone", (t) =>
  withHost(async (host) => {
    const apps = Array.from({ length: 50 }, (_, index) =>
      app(
        `app${index}`,
        Array.from({ length: 20 }, (__, number) => service(`s${number}`)),
      ),
    );
    await host.commit(desired("a", apps));
    await host.clock.advance(1_000);
    const running = (await host.runtime.observe()).containers.filter(
      ({ state }) => state === "running",
    );
    t.is(running.length, 1_000);
    t.is(host.loop.last?.apps.filter(({ verdict }) => verdict === "healthy").length, 50);
    const rounds = host.loop.roundsBegun;
    host.takeCalls();
    const before = performance.now();
    await host.clock.advance(10_000);
    t.log(`one round with nothing to do: ${Math.round(performance.now() - before)} ms`);
    t.true(host.loop.roundsBegun > rounds);
    t.deepEqual(host.takeCalls(), []);
  }));
