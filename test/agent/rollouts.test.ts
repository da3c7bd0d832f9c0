import test from "ava";
import { splitPlan } from "../../agent/plan/split-plan.ts";
import type { PlannedStep } from "../../agent/plan/step.ts";
import { applySteps, type Executors } from "../../agent/rollout/apply.ts";
import type { LiveStore } from "../../agent/store/live-store.ts";
import { app, desired, service, tcpPort } from "../builders/desired-state.ts";
import { SimulatedClock } from "../simulation/simulated-clock.ts";
import { withHost } from "../simulation/simulated-host.ts";

const slowMs = 8_000;

test("an app that takes long to stop does not hold up another one", (t) =>
  withHost(async (host) => {
    await host.commit(
      desired("a", [app("slow", [service("web")]), app("quick", [service("web")])]),
    );
    await host.clock.advance(1_000);
    host.runtime.stopMs.set("slow-web-1", slowMs);
    const changed = service("web", { user: "1" });
    await host.commit(desired("b", [app("slow", [changed]), app("quick", [changed])]));
    await host.clock.advance(1_000);
    t.like(host.app("quick"), { verdict: "healthy", revision: desired("b", []).revision });
    t.is(host.state("slow-web-1"), "running");
    t.like(host.app("slow"), { verdict: "pending" });
    await host.clock.advance(slowMs);
    t.like(host.app("slow"), { verdict: "healthy" });
    t.is(host.runtime.status("slow-web-1")?.spec.user, "1");
  }));

test("a commit that comes while an app is being changed reaches the other apps at once", (t) =>
  withHost(async (host) => {
    const quick = (user: string) => app("quick", [service("web", { user })]);
    const slow = (user: string) => app("slow", [service("web", { user }), service("db", { user })]);
    await host.commit(desired("a", [slow("1"), quick("1")]));
    host.runtime.stopMs.set("slow-web-1", slowMs);
    await host.commit(desired("b", [slow("2"), quick("2")]));
    host.takeCalls();
    await host.commit(desired("c", [slow("3"), quick("3")]));
    t.is(host.runtime.status("quick-web-1")?.spec.user, "3");
    await host.clock.advance(slowMs);
    await host.clock.advance(1_000);
    t.is(host.runtime.status("slow-web-1")?.spec.user, "3");
    t.is(host.app("slow")?.verdict, "healthy");
    const created = host.takeCalls().filter((call) => call === "create slow-web-1");
    t.is(created.length, 1, "the revision in between is passed over");
  }));

test("a port of an app that is still being stopped is waited for, and then taken", (t) =>
  withHost(async (host) => {
    const ports = [tcpPort(80)];
    const giver = (services: Parameters<typeof app>[1]) => app("giver", services);
    const other = service("other", { user: "1" });
    await host.commit(desired("a", [giver([service("web", { ports }), other])]));
    host.runtime.stopMs.set("giver-web-1", slowMs);
    // Busy with a change of its own when the port is asked for.
    await host.commit(desired("b", [giver([service("web", { ports, user: "2" }), other])]));
    await host.commit(
      desired("c", [giver([service("web"), other]), app("taker", [service("web", { ports })])]),
    );
    t.is(host.state("taker-web-1"), undefined);
    t.regex(host.app("taker")?.reason ?? "", /waiting for giver-web-1 to let go of port 80/);
    await host.clock.advance(slowMs);
    await host.clock.advance(1_000);
    t.deepEqual(host.runtime.status("taker-web-1")?.publishedPorts, ports);
    t.is(host.app("taker")?.verdict, "healthy");
    t.is(host.app("giver")?.verdict, "healthy");
    t.deepEqual(host.runtime.status("giver-web-1")?.spec.ports, []);
  }));

test("an app whose steps fail is tried again at its own pace, and the others go on", (t) =>
  withHost(async (host) => {
    const apps = (user: string) => [
      app("bad", [service("web")]),
      app("good", [service("web", { user })]),
    ];
    for (let time = 0; time < 4; time += 1) host.runtime.fail("start bad-web-1", "no such program");
    await host.commit(desired("a", apps("1")));
    host.takeCalls();
    await host.commit(desired("b", apps("2")));
    t.is(host.runtime.status("good-web-1")?.spec.user, "2");
    t.deepEqual(
      host.takeCalls().filter((call) => call.includes("bad")),
      [],
    );
    await host.clock.advance(3_000);
    t.is(host.takeCalls().filter((call) => call === "start bad-web-1").length, 2);
    t.is(host.app("bad")?.verdict, "failed");
  }));

test("what a plan joins by a need stays together, apps that share nothing are parted", (t) => {
  const step = (name: string, appName: string, needs: readonly string[] = []): PlannedStep => ({
    key: `stop-container ${name}`,
    needs,
    step: { kind: "stop-container", id: name, name, app: appName, graceMs: 0 },
    reason: [],
  });
  const parts = splitPlan([
    step("a", "one"),
    step("b", "two", ["stop-container a"]),
    step("c", "three"),
    step("d", "two"),
  ]);
  t.deepEqual(
    parts.map(({ apps, steps }) => [[...apps].sort(), steps.map(({ key }) => key.at(-1)).join("")]),
    [
      [["one", "two"], "abd"],
      [["three"], "c"],
    ],
  );
});

test("a rollout whose beginning a full disk undid is not remembered", (t) =>
  withHost(async (host) => {
    const apps = (user: string) =>
      ["shop", "side"].map((name) => app(name, [service("web", { user })]));
    await host.commit(desired("a", apps("1")));
    await host.clock.advance(20_000);
    for (let full = 1; full <= 12; full += 1) {
      let writes = 0;
      host.disturbWrite = () => {
        writes += 1;
        if (writes === full) throw new Error("database or disk is full");
      };
      await host.commit(desired("b", apps(`${full + 1}`))).catch(() => {});
      for (const { app: held } of host.core.enforcement.apps()) {
        const written = host.core.state.rollouts().findLast((one) => one.app === held.name);
        t.deepEqual(host.core.rollouts.newest(held.name), written, `write ${full}`);
      }
      await host.clock.advance(60_000);
    }
  }));

test("steps that run are waited for also when one cannot be written down as done", async (t) => {
  const clock = new SimulatedClock();
  const alive = new AbortController().signal;
  const finished: string[] = [];
  const executors = {
    "create-volume": async (step: { readonly volume: { readonly name: string } }) => {
      if (step.volume.name === "slow") await clock.sleep(slowMs, alive);
      finished.push(step.volume.name);
    },
  } as unknown as Executors;
  const live = {
    beginIntent: () => 1,
    endIntent: () => {
      throw new Error("database or disk is full");
    },
  } as unknown as LiveStore;
  const steps = ["slow", "quick"].map(
    (name): PlannedStep => ({
      key: name,
      needs: [],
      step: { kind: "create-volume", app: "shop", volume: { name, labels: {} } },
      reason: [],
    }),
  );
  const onResult = () => {};
  const applied = applySteps({
    ...{ steps, executors, live, clock, onResult },
    parallelMax: 8,
    abort: alive,
  });
  await clock.advance(slowMs);
  const results = await applied;
  t.deepEqual(finished, ["quick", "slow"]);
  t.deepEqual(
    results.map(({ outcome }) => outcome),
    ["done", "done"],
  );
});
