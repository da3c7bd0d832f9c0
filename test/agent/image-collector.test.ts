import test from "ava";
import { SpaceShortage } from "../../runtime/images/disk-space.ts";
import { app, desired, service } from "../builders/desired-state.ts";
import { type SimulatedHost, withHost } from "../simulation/simulated-host.ts";
import { simulatedImageBytes } from "../simulation/simulated-runtime.ts";

const hourMs = 3_600_000;

/** Images 1 to 5, each an hour older than the next; an app runs the first, and ran the second before. */
async function withImages(work: (host: SimulatedHost) => Promise<void>): Promise<void> {
  await withHost(async (host) => {
    host.runtime.imagesHere.clear();
    for (const tag of [1, 2, 3, 4, 5]) {
      host.runtime.addImage(`web:${tag}`);
      await host.clock.advance(hourMs);
    }
    for (const tag of [2, 1]) {
      await host.commit(
        desired(`${tag}`, [app("shop", [service("web", { image: `web:${tag}` })])]),
      );
    }
    await work(host);
  });
}

const left = (host: SimulatedHost) => [...host.runtime.imagesHere.keys()];

test("below the high watermark nothing goes, above it the oldest go until the low one", (t) =>
  withImages(async (host) => {
    host.runtime.disk.freeBytes = 200;
    t.is(await host.core.collector.check(), 0);
    t.is(left(host).length, 5);
    // 90 % used, 80 % are wanted: one image.
    host.runtime.disk.freeBytes = 100;
    t.is(await host.core.collector.check(), simulatedImageBytes);
    t.deepEqual(left(host), ["web:1", "web:2", "web:4", "web:5"]);
    host.core.events.flush();
    t.like(host.core.events.recorded().at(-1), { kind: "image.removed", target: "web:3" });
  }));

test("a full disk takes neither what is needed nor what is younger than minAge", (t) =>
  withImages(async (host) => {
    const imageCollection = { highPercent: 85, lowPercent: 10, minAgeMs: hourMs * 1.5 };
    host.settings = { ...host.settings, imageCollection };
    host.runtime.disk.freeBytes = 0;
    t.is(await host.core.collector.check(), 2 * simulatedImageBytes);
    t.deepEqual(left(host), ["web:1", "web:2", "web:5"]);
  }));

test("what was used last by an app counts its age from then", (t) =>
  withImages(async (host) => {
    await host.core.collector.check();
    await host.commit(desired("c", [app("shop", [service("web", { image: "web:5" })])]));
    await host.commit(desired("d", [app("shop", [service("web", { image: "web:4" })])]));
    // Nothing needs 1, 2 and 3 any more; 1 and 2 were in use when it was looked at last.
    const imageCollection = { highPercent: 100, lowPercent: 100, minAgeMs: 0, maxAgeMs: hourMs };
    host.settings = { ...host.settings, imageCollection };
    await host.core.collector.check();
    t.deepEqual(left(host), ["web:1", "web:2", "web:4", "web:5"]);
    await host.clock.advance(hourMs + 1);
    await host.core.collector.check();
    t.deepEqual(left(host), ["web:4", "web:5"]);
  }));

test("a pull that lacks space makes some and is tried again at once", (t) =>
  withImages(async (host) => {
    host.runtime.registry.add("big:1");
    host.runtime.fail("pull big:1", "no space", new SpaceShortage(150));
    const shop = app("shop", [service("web", { image: "web:1" })]);
    await host.commit(desired("e", [shop, app("big", [service("web", { image: "big:1" })])]));
    await host.clock.advance(0);
    t.is(host.state("big-web-1"), "running");
    t.deepEqual(left(host), ["web:1", "web:2", "web:5", "big:1"]);
  }));
