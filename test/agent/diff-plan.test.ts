import test from "ava";
import * as fc from "fast-check";
import { type ActualState, actualState } from "../../agent/observe.ts";
import { diffState } from "../../agent/plan/diff.ts";
import { planSteps } from "../../agent/plan/plan.ts";
import { stepTarget } from "../../agent/plan/step.ts";
import { renamedApp, type WantedState, wantedApp } from "../../agent/plan/wanted-state.ts";
import type { App } from "../../manifests/desired-state.ts";
import type { ContainerStatus } from "../../runtime/runtime.ts";
import { app, healthy, service, sha, started, tcpPort } from "../builders/desired-state.ts";

function wantedOf(...apps: readonly App[]): WantedState {
  return {
    apps: apps.map((entry) =>
      wantedApp({
        app: entry,
        revision: sha("a"),
        images: Object.fromEntries(
          entry.services.map(({ name, image }) => [name, `sha256:${image}`]),
        ),
      }),
    ),
  };
}

/** The host as it is once everything wanted runs. */
function runningHost(wanted: WantedState, changes: Partial<ContainerStatus> = {}): ActualState {
  let ids = 0;
  return actualState(
    {
      containers: wanted.apps.flatMap(({ containers }) =>
        containers.map(({ spec }) => ({
          spec: { ...spec, id: `${++ids}`.padStart(64, "0") },
          state: "running" as const,
          createdAtMs: 1,
          startedAtMs: 2,
          addresses: {},
          publishedPorts: spec.ports,
          cgroupPath: "",
          hostInterfaces: {},
          logPath: "",
          ...changes,
        })),
      ),
      networks: wanted.apps.flatMap(({ networks }) =>
        networks.map((network) => ({ ...network, bridge: "", subnet: "", gateway: "" })),
      ),
      volumes: wanted.apps.flatMap(({ volumes }) =>
        volumes.map((volume) => ({ ...volume, path: "", createdAtMs: 0, usedBy: [] })),
      ),
      drift: [],
    },
    {
      health: () => "none",
      restarts: () => ({ count: 0, backoffMs: 0 }),
      restartPending: () => false,
      lostAtBoot: new Set(),
      startedEarly: () => false,
      byHand: new Map(),
      completed: new Map(),
    },
  );
}

function plan(wanted: WantedState, actual: ActualState) {
  let ids = 0;
  const difference = diffState(wanted, actual, 60_000);
  const newContainerId = () => `${++ids}`.padStart(64, "f");
  return planSteps({ difference, wanted, actual, newContainerId });
}

const shown = (steps: ReturnType<typeof plan>) =>
  steps.map(({ step }) => `${step.kind} ${stepTarget(step)}`);

test("what runs as wanted needs no step", (t) => {
  const wanted = wantedOf(app("shop", [service("web"), service("db")]));
  t.deepEqual(plan(wanted, runningHost(wanted)), []);
});

test("the order of keys, ports and mounts is no change", (t) => {
  const mounts = [
    { type: "tmpfs", target: "/a", readOnly: false },
    { type: "tmpfs", target: "/b", readOnly: false },
  ] as const;
  const before = service("web", {
    environment: { A: "1", B: "2" },
    ports: [tcpPort(80), tcpPort(81)],
    mounts,
    labels: { x: "1", y: "2" },
  });
  const after = service("web", {
    environment: { B: "2", A: "1" },
    ports: [tcpPort(81), tcpPort(80)],
    mounts: mounts.toReversed(),
    labels: { y: "2", x: "1" },
  });
  const actual = runningHost(wantedOf(app("shop", [before])));
  t.deepEqual(plan(wantedOf(app("shop", [after])), actual), []);
});

test("what only the agent acts on is no reason to make a container anew", (t) => {
  const actual = runningHost(wantedOf(app("shop", [service("web")])));
  const wanted = wantedOf(
    app("shop", [service("web", { restart: { condition: "always" }, stopGraceMs: 1 })]),
  );
  t.deepEqual(plan(wanted, actual), []);
});

for (const [field, fields, change] of [
  ["image", { image: "web:2" }, "image.digest"],
  ["command", { command: ["x"] }, "command"],
  ["environment", { environment: { A: "1" } }, "environment.A"],
  ["a port", { ports: [tcpPort(80)] }, "ports.0.0.0.0:80/tcp"],
  ["a label", { labels: { tier: "1" } }, "labels.tier"],
  ["a limit", { resources: { memoryBytesMax: 1 } }, "resources.memoryBytesMax"],
  ["the user", { user: "1000" }, "user"],
] as const) {
  test(`a change of ${field} makes the container anew and names the field`, (t) => {
    const actual = runningHost(wantedOf(app("shop", [service("web")])));
    const steps = plan(wantedOf(app("shop", [service("web", fields)])), actual);
    t.deepEqual(shown(steps), [
      "stop-container shop-web-1",
      "remove-container shop-web-1",
      "create-container shop-web-1",
      "start-container shop-web-1",
    ]);
    t.true(steps.every(({ reason }) => reason.some((entry) => entry.field === change)));
  });
}

test("a container is stopped only once what it newly depends on is up", (t) => {
  const actual = runningHost(wantedOf(app("shop", [service("web")])));
  const web = service("web", { user: "1", dependsOn: { db: healthy } });
  const steps = shown(plan(wantedOf(app("shop", [web, service("db")])), actual));
  const wait = steps.indexOf("await-condition shop/db service_healthy");
  t.true(steps.indexOf("start-container shop-db-1") < wait);
  t.true(wait < steps.indexOf("stop-container shop-web-1"));
});

test("two services that swap a port while one depends on the other are still ordered", (t) => {
  const steps = shown(plan(portPair(81, 80), runningHost(portPair(80, 81))));
  t.true(steps.indexOf("stop-container shop-web-1") < steps.indexOf("start-container shop-db-1"));
  t.true(steps.indexOf("stop-container shop-db-1") < steps.indexOf("start-container shop-web-1"));
  t.true(steps.indexOf("start-container shop-db-1") < steps.indexOf("start-container shop-web-1"));
});

test("a port of a container that its policy restarts is free only once that was stopped", (t) => {
  const before = runningHost(wantedOf(app("old", [service("web", { ports: [tcpPort(80)] })])), {
    state: "exited",
    publishedPorts: [],
  });
  const containers = before.containers.map((one) => ({ ...one, restartPending: true }));
  const after = wantedOf(app("new", [service("web", { ports: [tcpPort(80)] })]));
  const steps = shown(plan(after, { ...before, containers }));
  t.true(steps.indexOf("stop-container old-web-1") >= 0);
  t.true(steps.indexOf("stop-container old-web-1") < steps.indexOf("start-container new-web-1"));
});

test("a replica that is stopped first starts once all of its name have ended", (t) => {
  const before = runningHost(wantedOf(app("shop", [service("web")])));
  const other = runningHost(wantedOf(app("shop", [service("web", { user: "2" })])));
  const beside = other.containers.map((one) => ({ ...one, id: "e".repeat(64) }));
  const after = wantedOf(app("shop", [service("web", { user: "1" })]));
  const actual = { ...before, containers: [...before.containers, ...beside] };
  const steps = plan(after, actual);
  const start = steps.find(({ key }) => key === "start-container shop-web-1");
  const stops = steps.filter(({ step }) => step.kind === "stop-container");
  t.is(stops.length, 2);
  for (const { key } of stops) t.true(start?.needs.includes(key), key);
});

test("a container that is found from its start on waits until a port is let go of and its like have ended", (t) => {
  const before = runningHost(
    wantedOf(app("old", [service("web", { ports: [tcpPort(80)] })]), app("new", [service("web")])),
  );
  const after = wantedOf(app("new", [service("web", { user: "1", ports: [tcpPort(80)] })]));
  const made = runningHost(after, { state: "created", publishedPorts: [], createdAtMs: 3 });
  const containers = made.containers.map((one) => ({ ...one, id: "f".repeat(64) }));
  const steps = shown(
    plan(after, { ...before, containers: [...before.containers, ...containers] }),
  );
  const start = steps.indexOf("start-container new-web-1");
  t.true(start >= 0);
  for (const name of ["old-web-1", "new-web-1"]) {
    const stop = steps.indexOf(`stop-container ${name}`);
    t.true(stop >= 0 && stop < start, `${name}: ${steps.join(", ")}`);
  }
});

test("a network that changes is made anew under the containers on it", (t) => {
  const before = wantedOf(app("shop", [service("web")], internalNetwork(false)));
  const after = wantedOf(app("shop", [service("web")], internalNetwork(true)));
  t.deepEqual(shown(plan(after, runningHost(before))), [
    "stop-container shop-web-1",
    "remove-container shop-web-1",
    "remove-network shop_default",
    "create-network shop_default",
    "create-container shop-web-1",
    "start-container shop-web-1",
  ]);
});

test("a container without the agent's labels is never touched", (t) => {
  const wanted = wantedOf(app("shop", [service("web")]));
  const [status] = runningHost(wanted).containers.map((container) => container.status);
  const foreign = { ...status, spec: { ...status?.spec, labels: {} } } as ContainerStatus;
  const actual = actualState(
    { containers: [foreign], networks: [], volumes: [], drift: [] },
    {
      health: () => "none",
      restarts: () => ({ count: 0, backoffMs: 0 }),
      restartPending: () => false,
      lostAtBoot: new Set(),
      startedEarly: () => false,
      byHand: new Map(),
      completed: new Map(),
    },
  );
  t.deepEqual(plan({ apps: [] }, actual), []);
});

test("whoever asks for it is restarted with its dependency", (t) => {
  const steps = shown(plan(restartPair("db:2"), runningHost(restartPair("db:1"))));
  t.deepEqual(steps.slice(-2), ["stop-container shop-web-1", "start-container shop-web-1"]);
});

/** Apps of up to four services that depend on earlier ones only. */
const anyApp = fc
  .array(
    fc.record({
      image: fc.constantFrom("web:1", "web:2"),
      replicas: fc.integer({ min: 1, max: 2 }),
      dependsOn: fc.array(fc.nat({ max: 3 }), { maxLength: 2 }),
      port: fc.option(fc.integer({ min: 80, max: 83 })),
      condition: fc.constantFrom(started, healthy),
    }),
    { maxLength: 4 },
  )
  .map((services) =>
    app(
      "shop",
      services.map(({ image, replicas, dependsOn, port, condition }, index) =>
        service(`s${index}`, {
          image,
          replicas,
          ports: port === null ? [] : [tcpPort(port)],
          dependsOn: Object.fromEntries(
            dependsOn.filter((other) => other < index).map((other) => [`s${other}`, condition]),
          ),
        }),
      ),
    ),
  );

test("from any app to any other: steps can run in their order, and leave exactly what is wanted", (t) => {
  fc.assert(
    fc.property(anyApp, anyApp, (before, after) => {
      const from = wantedOf(before);
      const to = wantedOf(after);
      const actual = runningHost(from);
      const done = new Set<string>();
      const there = new Map(actual.containers.map(({ name, specDigest }) => [name, specDigest]));
      for (const { key, needs, step } of plan(to, actual)) {
        for (const needed of needs)
          if (!done.has(needed)) throw new Error(`${key} before ${needed}`);
        done.add(key);
        if (step.kind === "remove-container") there.delete(step.name);
        if (step.kind === "create-container") {
          if (there.has(step.wanted.name)) throw new Error(`${step.wanted.name} made twice`);
          there.set(step.wanted.name, step.wanted.specDigest);
        }
      }
      const expected = to.apps.flatMap(({ containers }) =>
        containers.map(({ name, specDigest }) => [name, specDigest] as const),
      );
      t.deepEqual(Object.fromEntries(there), Object.fromEntries(expected));
    }),
    { numRuns: 300 },
  );
});

function portPair(web: number, db: number): WantedState {
  return wantedOf(
    app("shop", [
      service("web", { ports: [tcpPort(web)], dependsOn: { db: started } }),
      service("db", { ports: [tcpPort(db)] }),
    ]),
  );
}

function internalNetwork(internal: boolean): Partial<App> {
  return { networks: { default: { name: "shop_default", internal, labels: {} } } };
}

function restartPair(image: string): WantedState {
  return wantedOf(
    app("shop", [
      service("web", { dependsOn: { db: { ...started, restart: true } } }),
      service("db", { image }),
    ]),
  );
}

test("the same app in another revision is what it would be anew", (t) => {
  const of = (revision: string) =>
    wantedApp({ app: app("shop", [service("web", { replicas: 2 })]), revision, images: {} });
  const renamed = renamedApp(of("a".repeat(40)), "b".repeat(40));
  t.deepEqual(renamed, of("b".repeat(40)));
});
