import test from "ava";
import {
  app,
  completed,
  desired,
  healthy,
  service,
  started,
  tcpPort,
} from "../builders/desired-state.ts";
import { withHost } from "../simulation/simulated-host.ts";

const always = { condition: "always" } as const;

test("a commit becomes running containers, dependencies first", (t) =>
  withHost(async (host) => {
    const web = service("web", { dependsOn: { db: started } });
    await host.commit(desired("a", [app("shop", [web, service("db")])]));
    const calls = host.takeCalls();
    t.true(calls.indexOf("start shop-db-1") < calls.indexOf("start shop-web-1"));
    t.is(calls[0], "network shop_default");
    await host.clock.advance(1_000);
    t.is(host.app("shop")?.verdict, "healthy");
    t.is(host.core.state.fact("revision.running"), desired("a", []).revision);
  }));

test("a commit that changes one service leaves the others alone", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web"), service("db")])]));
    const before = host.runtime.status("shop-db-1")?.spec.id;
    host.takeCalls();
    const web = service("web", { environment: { GREETING: "ahoy" } });
    await host.commit(desired("b", [app("shop", [web, service("db")])]));
    t.deepEqual(host.takeCalls(), [
      "stop shop-web-1",
      "remove shop-web-1",
      "create shop-web-1",
      "start shop-web-1",
    ]);
    t.is(host.runtime.status("shop-db-1")?.spec.id, before);
    const why = host.core.live.reason(host.runtime.status("shop-web-1")?.spec.id ?? "");
    t.deepEqual(why?.reason, [{ field: "environment.GREETING", from: null, to: "ahoy" }]);
  }));

test("a round with nothing to do touches nothing", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web")])]));
    host.takeCalls();
    await host.clock.advance(60_000);
    t.deepEqual(host.takeCalls(), []);
  }));

test("what left git is stopped dependents first and removed, volumes stay", (t) =>
  withHost(async (host) => {
    const data = {
      type: "volume",
      volume: "data",
      target: "/d",
      readOnly: false,
      copy: true,
    } as const;
    const shop = app(
      "shop",
      [service("web", { dependsOn: { db: started } }), service("db", { mounts: [data] })],
      {
        volumes: { data: { name: "shop_data", labels: {} } },
      },
    );
    await host.commit(desired("a", [shop]));
    host.takeCalls();
    await host.commit(desired("b", []));
    const calls = host.takeCalls();
    t.true(calls.indexOf("stop shop-web-1") < calls.indexOf("stop shop-db-1"));
    t.is(calls.at(-1), "remove-network shop_default");
    t.deepEqual(host.runtime.volumeNames, ["shop_data"]);
    t.is(host.app("shop"), undefined);
  }));

test("a container that the manifest names has that name, for those that join it too", (t) =>
  withHost(async (host) => {
    const db = service("db", { containerName: "store" });
    const joins = { namespaces: { network: { service: "db" } } };
    const web = service("web", { dependsOn: { db: started }, networks: {}, options: joins });
    await host.commit(desired("a", [app("shop", [web, db])]));
    t.like(host.runtime.status("store")?.spec, {
      networks: [{ network: "shop_default", aliases: ["db", "store"] }],
    });
    t.like(host.runtime.status("shop-web-1")?.spec, {
      namespaces: { network: { container: "store" } },
    });
  }));

test("pull_policy always asks for the tag once for every revision that changes the service", (t) =>
  withHost(async (host) => {
    host.runtime.registry.add("web:1");
    const web = (greeting: string) =>
      service("web", { pullPolicy: "always", environment: { greeting } });
    await host.commit(desired("a", [app("shop", [web("ahoy")])]));
    await host.clock.advance(1_000);
    t.is(host.takeCalls().filter((call) => call === "pull web:1").length, 1);
    await host.commit(desired("b", [app("shop", [web("ahoy")])]));
    t.deepEqual(host.takeCalls(), []);
    await host.commit(desired("c", [app("shop", [web("moin")])]));
    await host.clock.advance(1_000);
    t.is(host.takeCalls().filter((call) => call === "pull web:1").length, 1);
    t.is(host.runtime.status("shop-web-1")?.spec.environment.greeting, "moin");
  }));

test("a pull_policy with a period asks for the tag again when the image came longer ago", (t) =>
  withHost(async (host) => {
    host.runtime.registry.add("web:1");
    const commit = async (greeting: string) => {
      const pullPolicy = { everyMs: 3_600_000 };
      const web = service("web", { pullPolicy, environment: { greeting } });
      await host.commit(desired(greeting.slice(0, 1), [app("shop", [web])]));
      await host.clock.advance(1_000);
      return host.takeCalls().filter((call) => call === "pull web:1").length;
    };
    t.is(await commit("ahoy"), 0);
    await host.clock.advance(3_600_000);
    t.is(await commit("bonjour"), 1);
    t.is(await commit("ciao"), 0);
    t.is(host.runtime.status("shop-web-1")?.spec.environment.greeting, "ciao");
  }));

test("pull_policy never waits for an image that somebody loads", (t) =>
  withHost(async (host) => {
    const web = service("web", { image: "own:1", pullPolicy: "never" });
    await host.commit(desired("a", [app("shop", [web])]));
    t.deepEqual(host.takeCalls(), []);
    t.regex(host.app("shop")?.reason ?? "", /own:1 is not here, and pull_policy: never/);
  }));

test("an image that is missing is pulled before anything of the app is touched", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web")])]));
    host.takeCalls();
    await host.commit(desired("b", [app("shop", [service("web", { image: "web:2" })])]));
    t.deepEqual(host.takeCalls(), ["pull web:2"]);
    t.is(host.state("shop-web-1"), "running");
    t.is(host.app("shop")?.verdict, "failed");
    t.regex(host.app("shop")?.reason ?? "", /the registry does not know it/);
    host.runtime.registry.add("web:2");
    await host.clock.advance(10_000);
    t.is(host.runtime.status("shop-web-1")?.spec.image.reference, "web:2");
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("a port that another process takes is found before the old container is stopped", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web")])]));
    host.takeCalls();
    host.listeners = [{ protocol: "tcp", port: 8080, address: undefined }];
    await host.commit(desired("b", [app("shop", [service("web", { ports: [tcpPort(8080)] })])]));
    t.deepEqual(host.takeCalls(), []);
    t.regex(host.app("shop")?.reason ?? "", /8080.*process nginx \(pid 812\)/);
    host.listeners = [];
    await host.clock.advance(10_000);
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("two apps hand a port from one to the other in one commit", (t) =>
  withHost(async (host) => {
    const ports = [tcpPort(80)];
    await host.commit(
      desired("a", [app("old", [service("web", { ports })]), app("new", [service("web")])]),
    );
    host.takeCalls();
    await host.commit(
      desired("b", [app("new", [service("web", { ports })]), app("old", [service("web")])]),
    );
    const calls = host.takeCalls();
    t.true(calls.indexOf("stop old-web-1") < calls.indexOf("start new-web-1"));
    await host.clock.advance(1_000);
    t.is(host.app("new")?.verdict, "healthy");
  }));

test("a missing bind source stalls the app with the reason, and its coming lets it go on", (t) =>
  withHost(async (host) => {
    host.missingPaths.add("/srv/data");
    const mounts = [
      { type: "bind", source: "/srv/data", target: "/d", readOnly: false, createHostPath: false },
    ] as const;
    await host.commit(desired("a", [app("shop", [service("web", { mounts })])]));
    t.is(host.app("shop")?.verdict, "failed");
    t.regex(host.app("shop")?.reason ?? "", /\/srv\/data.*does not exist/);
    host.missingPaths.clear();
    await host.clock.advance(10_000);
    await host.clock.advance(1_000);
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("a crashed container comes back by its policy, with a delay that doubles", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web", { restart: always })])]));
    for (const delayMs of [100, 200, 400]) {
      host.runtime.exit("shop-web-1", { code: 1, oomKilled: false });
      await host.clock.advance(delayMs - 1);
      t.is(host.state("shop-web-1"), "exited", `too early with ${delayMs} ms`);
      await host.clock.advance(1);
      t.is(host.state("shop-web-1"), "running");
    }
    t.is(host.app("shop")?.verdict, "failed");
    await host.clock.advance(20_000);
    await host.clock.advance(1_000);
    t.is(host.app("shop")?.verdict, "healthy");
    host.runtime.exit("shop-web-1", { code: 1, oomKilled: false });
    await host.clock.advance(0);
    t.is(host.state("shop-web-1"), "running", "after a healthy while there is no delay");
  }));

test("on-failure with a limit gives up after it and says so", (t) =>
  withHost(async (host) => {
    const restart = { condition: "on-failure", attemptsMax: 2 } as const;
    await host.commit(desired("a", [app("shop", [service("job", { restart })])]));
    for (let attempt = 0; attempt < 3; attempt += 1) {
      host.runtime.exit("shop-job-1", { code: 3, oomKilled: false });
      await host.clock.advance(1_000);
    }
    t.is(host.state("shop-job-1"), "exited");
    t.is(host.app("shop")?.verdict, "failed");
    t.regex(host.app("shop")?.reason ?? "", /exit code 3.*after 2 restarts/);
  }));

test("a dependent waits until its dependency is healthy", (t) =>
  withHost(async (host) => {
    const healthcheck = {
      test: ["CMD", "check"],
      intervalMs: 1_000,
      timeoutMs: 500,
      retries: 3,
      startPeriodMs: 0,
      startIntervalMs: 1_000,
    };
    host.runtime.probes.set("shop-db-1", 1);
    const web = service("web", { dependsOn: { db: healthy } });
    await host.commit(desired("a", [app("shop", [web, service("db", { healthcheck })])]));
    t.is(host.state("shop-db-1"), "running");
    t.not(host.state("shop-web-1"), "running");
    t.is(host.app("shop")?.verdict, "pending");
    host.runtime.probes.set("shop-db-1", 0);
    await host.clock.advance(1_000);
    t.is(host.state("shop-web-1"), "running");
    await host.clock.advance(1_000);
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("a job runs once: its dependent follows, and a reboot does not run it again", (t) =>
  withHost(async (host) => {
    const web = service("web", { dependsOn: { migrate: completed } });
    await host.commit(desired("a", [app("shop", [web, service("migrate")])]));
    t.not(host.state("shop-web-1"), "running");
    host.runtime.exit("shop-migrate-1", { code: 0, oomKilled: false });
    await host.clock.advance(0);
    t.is(host.state("shop-web-1"), "running");
    host.takeCalls();
    await host.reboot();
    t.deepEqual(host.takeCalls(), ["start shop-web-1"]);
    await host.clock.advance(1_000);
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("drift is repaired within the interval, without a commit", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web")])]));
    host.takeCalls();
    host.runtime.drift = [
      { kind: "port-missing", target: "shop-web-1", field: "port", from: "80", to: "" },
    ];
    await host.clock.advance(10_000);
    t.deepEqual(host.takeCalls(), ["repair port-missing"]);
  }));

test("a step that fails is tried again later and the app recovers", (t) =>
  withHost(async (host) => {
    host.runtime.fail("start shop-web-1", "no such program");
    await host.commit(desired("a", [app("shop", [service("web")])]));
    t.is(host.app("shop")?.verdict, "pending");
    t.regex(host.app("shop")?.reason ?? "", /no such program/);
    await host.clock.advance(1_000);
    await host.clock.advance(1_000);
    t.is(host.app("shop")?.verdict, "healthy");
  }));

test("outside a maintenance window a commit waits and drift is still healed", (t) =>
  withHost(async (host) => {
    await host.commit(desired("a", [app("shop", [service("web", { restart: always })])]));
    const now = new Date(host.clock.now());
    const later = new Date(now.getTime() + 3_600_000);
    host.settings = {
      ...host.settings,
      windows: [{ start: `0 ${later.getHours()} * * *`, durationMs: 1_800_000 }],
    };
    host.takeCalls();
    await host.commit(desired("b", [app("shop", [service("web", { user: "1000" })])]));
    t.deepEqual(host.takeCalls(), []);
    t.regex(host.app("shop")?.reason ?? "", /maintenance window/);
    host.runtime.exit("shop-web-1", { code: 1, oomKilled: false });
    await host.clock.advance(200);
    t.is(host.state("shop-web-1"), "running");
    await host.clock.advance(3_610_000);
    t.is(host.runtime.status("shop-web-1")?.spec.user, "1000");
  }));
