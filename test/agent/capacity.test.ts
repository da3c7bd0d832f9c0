import test from "ava";
import { app, desired, service } from "../builders/desired-state.ts";
import { withHost } from "../simulation/simulated-host.ts";

const gibibyte = 2 ** 30;
const reserving = (user: string, bytes: number, replicas = 1) =>
  service("web", { user, replicas, resources: { memoryReservationBytes: bytes } });

test("a revision that reserves more memory than the host has changes nothing, and says how much", (t) =>
  withHost(async (host) => {
    const small = desired("a", [app("one", [reserving("a", gibibyte)])]);
    await host.commit(small);
    await host.clock.advance(2_000);
    t.is(host.app("one")?.verdict, "healthy");
    host.takeCalls();
    const apps = [
      app("one", [reserving("b", gibibyte)]),
      app("two", [reserving("b", 4 * gibibyte, 2)]),
      app("modest", [service("web", {})]),
    ];
    await host.commit(desired("b", apps));
    await host.clock.advance(2_000);
    t.regex(
      host.app("two")?.reason ?? "",
      /cannot keep 8192 MiB of memory for two because all apps reserve 9216 MiB and this host has 8192 MiB: lower/,
    );
    t.is(host.app("one")?.verdict, "failed");
    t.is(host.app("modest")?.verdict, "healthy", "who reserves nothing is not held up");
    t.deepEqual(
      host.takeCalls().filter((call) => !call.includes("modest")),
      [],
    );
    await host.commit(desired("c", [app("one", [reserving("c", 8 * gibibyte)])]));
    await host.clock.advance(2_000);
    t.is(host.app("one")?.verdict, "healthy", "all of it may be reserved");
  }));

test("a host without room on its disk is left as it is until there is some", (t) =>
  withHost(async (host) => {
    for (const disk of [
      { bytesFree: 10 * 2 ** 20, filesFree: 1_000_000 },
      { bytesFree: gibibyte, filesFree: 12 },
    ]) {
      const room = host.disk;
      host.disk = disk;
      const seed = disk.filesFree === 12 ? "b" : "a";
      await host.commit(desired(seed, [app("shop", [service("web", { user: seed })])]));
      await host.clock.advance(2_000);
      t.regex(host.app("shop")?.reason ?? "", /the disk has \d+ MiB and \d+ files left: free some/);
      t.deepEqual(host.takeCalls(), []);
      host.disk = room;
      await host.clock.advance(12_000);
      t.is(host.app("shop")?.verdict, "healthy");
      host.takeCalls();
    }
  }));
