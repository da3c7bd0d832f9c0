import test from "ava";
import { createMetricTargets } from "../../agent/control/metric-targets.ts";
import type { ActualContainer } from "../../agent/observe.ts";
import { wantedApp } from "../../agent/plan/wanted-state.ts";
import type { Round } from "../../agent/reconcile.ts";
import type { ContainerStatus } from "../../runtime/runtime.ts";
import { app, service, sha } from "../builders/desired-state.ts";

const cgroups = {
  v1: new Map<string, string>(),
  unified: "/u",
  unifiedControllers: new Set<string>(),
};
const wanted = wantedApp({
  app: app("shop", [service("web")]),
  revision: sha("a"),
  images: { web: "sha256:web" },
}).containers[0];
if (wanted === undefined) throw new Error("cannot begin without a container");
const spec = { ...wanted.spec, id: "c1" };

const status: ContainerStatus = {
  spec,
  state: "running",
  createdAtMs: 1,
  startedAtMs: 2,
  addresses: {},
  publishedPorts: [],
  cgroupPath: "/i/c1",
  hostInterfaces: { [spec.networks[0]?.network ?? ""]: "veth1" },
  logPath: "",
};

function container(
  changes: Partial<ActualContainer> = {},
  ofStatus: Partial<ContainerStatus> = {},
): ActualContainer {
  return {
    id: "c1",
    name: "shop-web-1",
    app: "shop",
    service: "web",
    replica: 1,
    specDigest: "d",
    revision: sha("a"),
    dependsOn: [],
    stopGraceMs: 0,
    health: "none",
    restarts: { count: 0, backoffMs: 0 },
    restartPending: false,
    lostAtBoot: false,
    startedEarly: false,
    ...changes,
    status: { ...status, ...ofStatus },
  };
}

/** Rounds that saw these containers, one after another. */
function targetsOfRounds(...rounds: readonly (readonly ActualContainer[])[]) {
  const seen: { last: Round | undefined } = { last: undefined };
  const targets = createMetricTargets({ loop: seen, cgroups });
  return rounds.map((containers, index) => {
    const actual = {
      containers,
      networks: [],
      volumes: [],
      drift: [],
      byHand: new Map(),
      completed: new Map(),
    };
    seen.last = { number: index + 1, actual, apps: [], gates: new Map() };
    return targets();
  });
}

test("a container that a round found as it was keeps its target, and other containers are none of it", (t) => {
  const [first, second] = targetsOfRounds(
    [container()],
    [container({ id: "c0", name: "other" }), container()],
  );
  t.is(second?.length, 2);
  t.is(second?.[1], first?.[0]);
});

test("whatever a target tells makes a new one when it changes", (t) => {
  const changed: readonly ActualContainer[] = [
    container({ name: "shop-web-2" }),
    container({ health: "healthy" }),
    container({ restarts: { count: 1, backoffMs: 0 } }),
    container({ restarts: { count: 0, backoffMs: 0, oomKills: 1 } }),
    container({}, { spec: { ...spec } }),
    container({}, { state: "paused" }),
    container({}, { startedAtMs: 3 }),
    container({}, { createdAtMs: 3 }),
    container({}, { cgroupPath: "/i/c2" }),
    container({}, { oomKillsBefore: 1 }),
    container({}, { hostInterfaces: { [spec.networks[0]?.network ?? ""]: "veth2" } }),
  ];
  t.is(spec.networks.length, 1);
  for (const after of changed) {
    const [first, second] = targetsOfRounds([container()], [after]);
    t.not(second?.[0], first?.[0]);
    t.deepEqual(second, targetsOfRounds([after])[0]);
  }
});

test("a container that is gone has no target", (t) => {
  t.deepEqual(targetsOfRounds([container()], [])[1], []);
});
