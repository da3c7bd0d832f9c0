import test from "ava";
import { resolveContainer } from "../../agent/control/control-names.ts";
import {
  killByHand,
  restartByHand,
  startByHand,
  stopByHand,
} from "../../agent/control/control-operate.ts";
import { listContainers, planNow } from "../../agent/control/control-status.ts";
import { app, desired, service, someCommit } from "../builders/desired-state.ts";
import { type SimulatedHost, withHost } from "../simulation/simulated-host.ts";

const always = { condition: "always" } as const;

/** The parts of the control that act on containers need no more than this. */
function context(host: SimulatedHost): Parameters<typeof stopByHand>[0] {
  const { core, loop } = host;
  return { core, loop } as Parameters<typeof stopByHand>[0];
}

test("a container stopped by hand stays stopped, over restarts of the agent and unrelated commits", (t) =>
  withHost(async (host) => {
    const web = service("web", { restart: always });
    await host.commit(desired("a", [app("shop", [web])]));
    await stopByHand(context(host), "shop-web-1", {});
    await host.clock.advance(60_000);
    t.is(host.state("shop-web-1"), "exited");
    t.like(host.app("shop"), { state: "degraded", verdict: "healthy" });
    await host.killAgent();
    await host.startAgent();
    await host.commit(desired("b", [app("shop", [web]), app("other", [service("web")])]));
    t.is(host.state("shop-web-1"), "exited");
    const [entry] = await listContainers(context(host), { all: true });
    t.like(entry, { name: "other-web-1" });
    const stopped = (await listContainers(context(host), { all: true })).at(-1);
    t.like(stopped, { name: "shop-web-1", byHand: true, exitCode: 143 });
  }));

test("published ports are listed in order, whatever the kernel's", (t) =>
  withHost(async (host) => {
    const port = (containerPort: number, protocol: "tcp" | "udp" = "tcp") => ({
      hostIp: "0.0.0.0",
      hostPort: containerPort + 1_000,
      containerPort,
      protocol,
    });
    const ports = [port(81), port(53, "udp"), port(443), port(80)];
    await host.commit(desired("a", [app("shop", [service("web", { ports })])]));
    const [entry] = await listContainers(context(host), { all: true });
    t.deepEqual(entry?.ports, [port(80), port(81), port(443), port(53, "udp")]);
  }));

for (const [condition, state] of [
  ["unless-stopped", "exited"],
  ["always", "running"],
] as const) {
  test(`after a reboot a container stopped by hand is ${state} with restart: ${condition}`, (t) =>
    withHost(async (host) => {
      const web = service("web", { restart: { condition } });
      await host.commit(desired("a", [app("shop", [web])]));
      await stopByHand(context(host), "shop-web-1", {});
      await host.killAgent();
      await host.startAgent();
      await host.clock.advance(30_000);
      t.is(host.state("shop-web-1"), "exited");
      await host.reboot();
      await host.clock.advance(30_000);
      t.is(host.state("shop-web-1"), state);
    }));
}

test("a change of the service ends what was done by hand", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web", { restart: always })])]));
    await stopByHand(context(host), "shop-web-1", {});
    await host.commit(
      desired("b", [app("shop", [service("web", { restart: always, user: "1" })])]),
    );
    t.is(host.state("shop-web-1"), "running");
    t.deepEqual(host.core.state.byHandMarks(), []);
  }));

test("a container killed by hand is left alone, one killed otherwise comes back", (t) =>
  withHost(async (host) => {
    const web = service("web", { restart: always });
    await host.commit(desired("a", [app("shop", [web, { ...web, name: "db" }])]));
    await killByHand(context(host), "shop/web", "SIGKILL");
    host.runtime.exit("shop-db-1", { signal: 9, oomKilled: false });
    await host.clock.advance(30_000);
    t.is(host.state("shop-web-1"), "exited");
    t.is(host.state("shop-db-1"), "running");
    await startByHand(context(host), "shop-web-1");
    await host.clock.advance(1_000);
    t.is(host.state("shop-web-1"), "running");
    t.is(host.app("shop")?.state, "running");
    const entries = await listContainers(context(host), { all: true });
    t.false(
      entries.some(({ byHand }) => byHand),
      "nothing is by hand once it is started again",
    );
  }));

test("a signal that ends nothing is not remembered", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web", { restart: always })])]));
    await killByHand(context(host), "shop-web-1", "SIGHUP");
    t.deepEqual(host.core.state.byHandMarks(), []);
  }));

test("a restart by hand counts as no crash", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web", { restart: always })])]));
    await restartByHand(context(host), "shop-web-1", {});
    await host.clock.advance(1_000);
    t.is(host.state("shop-web-1"), "running");
    t.is((await listContainers(context(host), { all: false }))[0]?.restarts, 0);
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("names are resolved by name, service and id prefix, and mistakes say what there is", (t) =>
  withHost(async (host) => {
    const web = service("web", { replicas: 2 });
    await host.commit(desired("a", [app("shop", [web, service("db")])]));
    const actual = await host.core.view.observe();
    const db = resolveContainer(actual, "shop/db");
    t.is(db.name, "shop-db-1");
    t.is(resolveContainer(actual, db.id.slice(0, 12)).name, "shop-db-1");
    t.throws(() => resolveContainer(actual, "shop/web"), {
      message: /2 match: shop-web-1, shop-web-2/,
    });
    t.throws(() => resolveContainer(actual, "nope"), {
      message: /there are shop-db-1, shop-web-1/,
    });
  }));

test("a plan says what would be done, images to pull first, and does nothing", (t) =>
  withHost(async (host) => {
    host.listeners = [{ protocol: "tcp", port: 80, address: undefined }];
    await host.commit(desired("a", [app("shop", [service("web")])]));
    host.takeCalls();
    host.core.enforcement.accept(
      desired("b", [app("shop", [service("web", { image: "web:9" })])]),
      someCommit,
      host.clock.now(),
    );
    const { steps } = await planNow(context(host));
    t.deepEqual(
      steps.map(({ kind }) => kind),
      ["pull-image", "stop-container", "remove-container", "create-container", "start-container"],
    );
    t.deepEqual(
      steps[1]?.reason.find(({ field }) => field === "image.reference"),
      {
        field: "image.reference",
        from: "web:1",
        to: "web:9",
      },
    );
    t.deepEqual(host.takeCalls(), []);
  }));
