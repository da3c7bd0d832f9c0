import test from "ava";
import { neededImages } from "../../agent/images/needed-images.ts";
import { app, desired, service } from "../builders/desired-state.ts";
import { type SimulatedHost, withHost } from "../simulation/simulated-host.ts";

async function needed(host: SimulatedHost): Promise<string[]> {
  return [...(await neededImages(host.core))().keys()].toSorted();
}

const shop = (image: string) => app("shop", [service("web", { image })]);

test("images of what is held, of what it was before and of what is on its way are needed", (t) =>
  withHost(async (host) => {
    for (const tag of ["1", "2", "3", "4"]) host.runtime.addImage(`web:${tag}`);
    await host.commit(desired("a", [shop("web:1")]));
    t.deepEqual(await needed(host), ["sha256:web:1"]);
    await host.commit(desired("b", [shop("web:2")]));
    t.deepEqual(await needed(host), ["sha256:web:1", "sha256:web:2"]);
    await host.commit(desired("c", [shop("web:3")]));
    t.deepEqual(await needed(host), ["sha256:web:2", "sha256:web:3"]);
    host.missingPaths.add("/absent");
    const bind = { type: "bind", source: "/absent", target: "/d", readOnly: false } as const;
    const mounts = [{ ...bind, createHostPath: false }];
    const gated = app("shop", [service("web", { image: "web:4", mounts })]);
    await host.commit(desired("d", [gated]));
    t.deepEqual(await needed(host), ["sha256:web:2", "sha256:web:3", "sha256:web:4"]);
  }));

test("a change that leaves an app's images alone does not forget those before", (t) =>
  withHost(async (host) => {
    for (const tag of ["1", "2"]) host.runtime.addImage(`web:${tag}`);
    await host.commit(desired("a", [shop("web:1")]));
    await host.commit(desired("b", [shop("web:2")]));
    const changed = app("shop", [service("web", { image: "web:2", environment: { A: "1" } })]);
    await host.commit(desired("c", [changed]));
    t.deepEqual(await needed(host), ["sha256:web:1", "sha256:web:2"]);
  }));

test("images of an app that left git are needed until the next revision", (t) =>
  withHost(async (host) => {
    host.runtime.addImage("web:1");
    await host.commit(desired("a", [shop("web:1")]));
    await host.commit(desired("b", []));
    t.deepEqual(await needed(host), ["sha256:web:1"]);
    await host.commit(desired("c", []));
    t.deepEqual(await needed(host), []);
  }));
