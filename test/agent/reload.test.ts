import test from "ava";
import { planNow } from "../../agent/control/control-status.ts";
import type { ServiceMount } from "../../manifests/desired-state.ts";
import { app, desired, service, sha, someCommit } from "../builders/desired-state.ts";
import { type SimulatedHost, withHost } from "../simulation/simulated-host.ts";

const always = { condition: "always" } as const;
const digest = (digit: string) => digit.repeat(64);
const file = (digit: string, target = "/etc/web.conf"): ServiceMount => ({
  type: "tree",
  tree: digest(digit),
  target,
});

/** A revision whose one service asks for SIGHUP. */
function revision(sha: string, mounts: readonly ServiceMount[], more: object = {}) {
  const onConfigChange = { signal: "SIGHUP" };
  return desired(sha, [
    app("shop", [service("web", { restart: always, onConfigChange, mounts, ...more })]),
  ]);
}

const treesOf = (host: SimulatedHost) =>
  host.runtime.status("shop-web-1")?.spec.mounts.map((mount) => "tree" in mount && mount.tree[0]);
const idOf = (host: SimulatedHost) => host.runtime.status("shop-web-1")?.spec.id;
const reloads = (host: SimulatedHost) =>
  host.runtime.calls.filter((call) => call.startsWith("reload"));

test("a changed file gets into the container that runs, which gets the signal", (t) =>
  withHost(async (host) => {
    await host.commit(revision("a", [file("1")]));
    const id = idOf(host);
    await host.commit(revision("b", [file("2")]));
    await host.clock.advance(2_000);
    t.deepEqual(reloads(host), ["reload shop-web-1 SIGHUP"]);
    t.deepEqual([idOf(host), treesOf(host)], [id, ["2"]]);
    t.like(host.app("shop"), { verdict: "healthy", revision: sha("b") });
    host.core.events.flush();
    const events = host.core.events.recorded().map(({ kind, message }) => `${kind}: ${message}`);
    t.true(
      events.includes("container.reloaded: shop-web-1 was given its changed files and SIGHUP"),
    );
    const { reason, revision: by } = host.core.live.reason(id ?? "") ?? {};
    t.is(by, sha("b"));
    t.deepEqual(reason, [
      { field: "mounts./etc/web.conf.tree", from: digest("1"), to: digest("2") },
    ]);
    await host.clock.advance(60_000);
    t.is(reloads(host).length, 1);
  }));

test("what differs in more than files, or would hide another mount, is made anew", (t) =>
  withHost(async (host) => {
    const cases: (readonly [readonly ServiceMount[], object])[] = [
      [[file("1")], {}],
      [[file("2")], { environment: { A: "b" } }],
      [[file("2"), file("3", "/etc/more")], {}],
      [[file("2"), file("3", "/etc/more"), file("4", "/etc/more/inner")], {}],
      [[file("2"), file("5", "/etc/more"), file("4", "/etc/more/inner")], {}],
      [[file("6")], { onConfigChange: undefined }],
    ];
    let before: string | undefined;
    for (const [index, [mounts, more]] of cases.entries()) {
      await host.commit(revision(`r${index}`, mounts, more));
      t.not(idOf(host), before, `case ${index}`);
      before = idOf(host);
    }
    t.deepEqual(reloads(host), []);
    await host.commit(revision("signal", [file("6")]));
    t.is(idOf(host), before, "to ask for a signal is no change of the container");
  }));

test("one of several secrets that changed brings all of them, and a stopped container is made anew", (t) =>
  withHost(async (host) => {
    const secret = (digit: string, name: string): ServiceMount => ({
      type: "secret",
      tree: "",
      format: "age",
      path: name,
      target: `/run/secrets/${name}`,
      mode: 0o444,
      uid: 0,
      gid: 0,
      digest: digest(digit),
    });
    let asked: readonly string[] = [];
    const reloadContainer = host.runtime.reloadContainer.bind(host.runtime);
    host.runtime.reloadContainer = (id, reload) => {
      asked = reload.mounts.map(({ target }) => target);
      return reloadContainer(id, reload);
    };
    await host.commit(revision("a", [secret("1", "a"), secret("2", "b"), file("3")]));
    const id = idOf(host);
    await host.commit(revision("b", [secret("1", "a"), secret("4", "b"), file("3")]));
    t.is(idOf(host), id);
    t.deepEqual(asked, ["/run/secrets/a", "/run/secrets/b"]);
    await host.killAgent();
    host.runtime.exit("shop-web-1", { code: 0, oomKilled: false });
    await host.startAgent();
    await host.commit(revision("c", [secret("1", "a"), secret("5", "b"), file("3")]));
    await host.clock.advance(5_000);
    t.like(host.app("shop"), { verdict: "healthy", revision: sha("c") });
  }));

test("a verdict that failed gives the old files back, and signals again", (t) =>
  withHost(async (host) => {
    await host.commit(revision("a", [file("1")]));
    await host.clock.advance(2_000);
    const id = idOf(host);
    host.runtime.disturb = async (call) => {
      if (call.startsWith("reload") && reloads(host).length === 1)
        host.runtime.oomKills.set("shop-web-1", 1);
      if (call.startsWith("reload") && reloads(host).length === 2)
        host.runtime.oomKills.set("shop-web-1", 0);
    };
    await host.commit(revision("b", [file("2")]));
    await host.clock.advance(5_000);
    t.like(host.app("shop"), { verdict: "rolled-back", revision: sha("a") });
    t.regex(host.app("shop")?.reason ?? "", /ran out of memory/);
    t.deepEqual([idOf(host), treesOf(host)], [id, ["1"]]);
    t.is(reloads(host).length, 2);
  }));

test("a program that ends on the signal is a failure of the revision, and comes back with the old files", (t) =>
  withHost(async (host) => {
    await host.commit(revision("a", [file("1")]));
    await host.clock.advance(2_000);
    host.runtime.changed = () => {
      if (treesOf(host)?.[0] !== "2" || host.state("shop-web-1") !== "running") return;
      host.runtime.exit("shop-web-1", { code: 3, oomKilled: false });
    };
    await host.commit(revision("b", [file("2")]));
    await host.clock.advance(20_000);
    t.like(host.app("shop"), { verdict: "rolled-back", revision: sha("a") });
    t.deepEqual([host.state("shop-web-1"), treesOf(host)], ["running", ["1"]]);
  }));

test("an agent that died on the way goes on, or back, with every file; what cannot be replaced is made anew", (t) =>
  withHost(async (host) => {
    await host.commit(revision("a", [file("1"), file("7", "/other")]));
    const id = idOf(host);
    host.runtime.disturb = async (call) => {
      if (call.startsWith("reload")) host.stopDead();
    };
    await host.commit(revision("b", [file("2"), file("7", "/other")]));
    t.is(host.runtime.status("shop-web-1")?.reload, "pending");
    await host.killAgent();
    host.runtime.disturb = async () => {};
    const { steps } = await planAfterStart(host);
    t.deepEqual(steps, []);
    t.deepEqual([idOf(host), treesOf(host)], [id, ["2", "7"]]);
    t.is(host.runtime.status("shop-web-1")?.reload, undefined);
    t.is(reloads(host).length, 2);

    host.runtime.fail("reload shop-web-1 SIGHUP", "cannot replace");
    await host.commit(revision("c", [file("3"), file("7", "/other")]));
    await host.clock.advance(5_000);
    t.not(idOf(host), id);
    t.deepEqual(treesOf(host), ["3", "7"]);
    t.like(host.app("shop"), { verdict: "healthy", revision: sha("c") });
  }));

test("why files were replaced is known though the agent was killed right after that", (t) =>
  withHost(async (host) => {
    await host.commit(revision("a", [file("1")]));
    host.runtime.changed = () => {
      if (reloads(host).length > 0) host.stopDead();
    };
    await host.commit(revision("b", [file("2")]));
    await host.killAgent();
    host.runtime.changed = () => {};
    await host.startAgent();
    t.is(reloads(host).length, 1);
    t.is(host.core.live.reason(idOf(host) ?? "")?.revision, sha("b"));
  }));

test("another commit after a death on the way replaces what that one had changed too", (t) =>
  withHost(async (host) => {
    await host.commit(revision("a", [file("1"), file("7", "/other"), file("9", "/third")]));
    host.runtime.disturb = async (call) => {
      if (call.startsWith("reload")) host.stopDead();
    };
    await host.commit(revision("b", [file("2"), file("7", "/other"), file("9", "/third")]));
    await host.killAgent();
    host.runtime.disturb = async () => {};
    const id = idOf(host) ?? "";
    await host.startAgent();
    host.core.enforcement.accept(
      revision("c", [file("2"), file("8", "/other"), file("9", "/third")]),
      someCommit,
      host.clock.now(),
    );
    await host.clock.advance(2_000);
    t.is(idOf(host), id);
    t.deepEqual(
      host.runtime.seenBy(id).map((mount) => "tree" in mount && mount.tree[0]),
      ["2", "8", "9"],
    );
  }));

async function planAfterStart(host: SimulatedHost) {
  await host.startAgent();
  await host.clock.advance(2_000);
  const { core, loop } = host;
  return planNow({ core, loop } as Parameters<typeof planNow>[0]);
}
