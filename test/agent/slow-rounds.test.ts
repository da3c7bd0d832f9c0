import test from "ava";
import { syncNow } from "../../agent/control/control-status.ts";
import type { UpdatePolicy } from "../../manifests/desired-state.ts";
import { app, desired, service, tcpPort } from "../builders/desired-state.ts";
import { type SimulatedHost, withHost } from "../simulation/simulated-host.ts";
import { controlOf } from "./simulated-control.ts";

const always = { condition: "always" } as const;
const update: UpdatePolicy = {
  parallelism: 1,
  delayMs: 0,
  failureAction: "rollback",
  monitorMs: 0,
  failureRatioMax: 0,
  order: "stop-first",
};
/** How long a round takes on a busy machine. */
const roundMs = 20;
/** Half a round before something comes due. */
const early = roundMs / 2;

function web(user: string, policy: Partial<UpdatePolicy> = {}, replicas = 1) {
  const deploy = { update: { ...update, ...policy } };
  const ports = replicas === 1 ? [tcpPort(80)] : [];
  return service("web", { user, deploy, replicas, ports, restart: always });
}

/** Every round that judges a rollout takes its time from now on, after it looked and before it ends. */
function slowDown(host: SimulatedHost): void {
  host.runtime.outOfMemoryKills = async () => {
    await host.clock.sleep(roundMs, new AbortController().signal);
    return 0;
  };
}

async function users(host: SimulatedHost): Promise<string> {
  const { containers } = await host.runtime.observe();
  return containers
    .map(({ spec }) => spec.user)
    .sort()
    .join("");
}

test("sync tells the verdict of an app that was up just after a round had looked", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [web("a")])]));
    await host.clock.advance(1_000 - early);
    slowDown(host);
    let verdict: string | undefined;
    const syncing = syncNow(controlOf(host), new AbortController().signal, {}).then((report) => {
      ({ verdict } = report);
    });
    await host.clock.advance(1_000);
    t.is(verdict, "healthy");
    await syncing;
  }));

test("a successor that was ready just after a round had asked takes over at once", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [web("a")])]));
    await host.clock.advance(30_000);
    await host.commit(desired("b", [app("shop", [web("b", { order: "start-first" })])]));
    await host.clock.advance(1_000 - early);
    t.is(await users(host), "ab");
    slowDown(host);
    host.loop.trigger("something else");
    await host.clock.advance(1_000);
    t.is(await users(host), "b");
  }));

test("the next replicas of an update whose delay was over just after a round had looked are not kept longer", (t) =>
  withHost(async (host) => {
    const paced = (user: string) => app("shop", [web(user, { delayMs: 5_000 }, 2)]);
    await host.commit(desired("a", [paced("a")]));
    await host.clock.advance(30_000);
    await host.commit(desired("b", [paced("b")]));
    await host.clock.advance(5_000 - early);
    t.is(await users(host), "ab");
    slowDown(host);
    host.loop.trigger("something else");
    await host.clock.advance(1_000);
    t.is(await users(host), "bb");
  }));

test("what failed is tried again in time though a round had begun just before", (t) =>
  withHost(async (host) => {
    const db = service("db", { restart: always });
    host.runtime.fail("start shop-web-1", "no such program");
    await host.commit(desired("a", [app("shop", [db, web("a")])]));
    await host.clock.advance(1_000 - early);
    t.is(host.state("shop-web-1"), "created");
    slowDown(host);
    host.loop.trigger("something else");
    await host.clock.advance(1_000);
    t.is(host.state("shop-web-1"), "running");
  }));

test("the verdict comes when the time is over for which a rollout is watched, though a round had begun just before", (t) =>
  withHost(async (host) => {
    // What is judged first waits for the other.
    const other = app("zoo", [service("cage", { restart: always })]);
    await host.commit(desired("a", [app("shop", [web("a", { monitorMs: 3_000 })]), other]));
    await host.clock.advance(4_000 - early);
    t.is(host.app("shop")?.verdict, "pending");
    host.runtime.outOfMemoryKills = async (id) => {
      const name = host.runtime.statuses().find(({ spec }) => spec.id === id)?.spec.name;
      if (name === "zoo-cage-1") await host.clock.sleep(roundMs, new AbortController().signal);
      return 0;
    };
    host.loop.trigger("something else");
    await host.clock.advance(1_000);
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("what a round that failed was asked to look at is looked at by the next one", (t) =>
  withHost(async (host) => {
    const steady = app("shop", [web("a")]);
    await host.commit(desired("a", [steady]));
    await host.clock.advance(30_000);
    host.runtime.disturb = () => host.clock.sleep(500, new AbortController().signal);
    // Its network, its making and its start.
    await host.commit(desired("b", [steady, app("slow", [service("job")])]));
    await host.clock.advance(1_490);
    t.is(host.state("slow-job-1"), "created");
    host.runtime.disturb = async () => {};
    host.takeCalls();
    const { observe } = host.runtime;
    host.runtime.observe = () => {
      host.runtime.observe = observe;
      return Promise.reject(new Error("the helper does not answer"));
    };
    const { id: container = "" } = host.runtime.status("shop-web-1")?.spec ?? {};
    const told = { field: "memory.max", from: "1", to: "2" };
    host.runtime.drift = [{ kind: "limit-changed", container, target: "shop-web-1", ...told }];
    host.loop.trigger("something else");
    await host.clock.advance(20);
    t.true(host.takeCalls().some((call) => call.startsWith("repair")));
  }));

test("after the clock was set back, no round is made for the moment at which a container seems to have started", (t) =>
  withHost(async (host) => {
    host.runtime.addImage("web:1");
    await host.commit(desired("a", [app("shop", [web("1")])]));
    await host.clock.advance(500);
    host.clock.jump(-35_000);
    await host.clock.advance(30_500);
    const before = host.loop.roundsBegun;
    await host.clock.advance(9_000);
    t.is(host.loop.roundsBegun, before);
  }));

test("a container that counts as up does so also when the clock that was set back comes by its start again", (t) =>
  withHost(async (host) => {
    host.runtime.addImage("web:1");
    await host.commit(desired("a", [app("shop", [web("1")])]));
    await host.clock.advance(5_000);
    host.clock.jump(-35_000);
    await host.clock.advance(29_000);
    for (let n = 0; n < 8; n += 1) {
      await host.clock.advance(250);
      host.core.wake("a look");
      await host.clock.advance(1);
      t.deepEqual(
        host.loop.last?.apps.map(({ verdict }) => verdict),
        ["healthy"],
      );
    }
  }));
