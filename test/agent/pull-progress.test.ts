import { setImmediate as turn } from "node:timers/promises";
import test from "ava";
import { ImagePuller } from "../../agent/images/image-puller.ts";
import { TransferMeter } from "../../agent/images/transfer-meter.ts";
import { ImageError } from "../../runtime/images/image-error.ts";
import type { ImageStore } from "../../runtime/images/image-store.ts";
import { SimulatedClock } from "../simulation/simulated-clock.ts";

test("a transfer's speed is that of the last seconds, over all layers", (t) => {
  const meter = new TransferMeter();
  t.like(meter.summary(), { bytesTotal: 0, bytesPerSecond: 0, msLeft: null });
  const step = (layer: string, bytesDone: number, nowMs: number) =>
    meter.note({ layer, bytesDone, bytesTotal: 10_000, phase: "download" }, nowMs);
  step("a", 0, 0);
  step("b", 0, 0);
  step("a", 1000, 1000);
  t.deepEqual(meter.summary(), {
    phase: "download",
    bytesDone: 1000,
    bytesTotal: 20_000,
    bytesPerSecond: 1000,
    msLeft: 19_000,
    waiting: null,
  });
  for (let second = 2; second <= 10; second += 1) step("b", 100 * second, second * 1000);
  const { bytesPerSecond } = meter.summary();
  t.true(bytesPerSecond >= 90 && bytesPerSecond <= 130, String(bytesPerSecond));
  step("b", 10_000, 11_000);
  step("a", 10_000, 11_000);
  t.is(meter.summary().msLeft, null);
});

test("a step without a layer says what is waited for and changes no sum", (t) => {
  const meter = new TransferMeter();
  meter.note({ layer: "a", bytesDone: 5, bytesTotal: 10, phase: "download" }, 0);
  const waiting = { host: "registry.example", untilMs: 99 };
  meter.note({ bytesDone: 0, bytesTotal: 0, phase: "wait", waiting }, 1);
  t.like(meter.summary(), { phase: "wait", bytesDone: 5, bytesTotal: 10, waiting });
  meter.note({ layer: "a", bytesDone: 6, bytesTotal: 10, phase: "download" }, 2);
  t.is(meter.summary().waiting, null);
});

test("a pull that a registry put off is tried again when it said, and not before", async (t) => {
  const clock = new SimulatedClock();
  const retryAtMs = clock.now() + 3_600_000;
  let pulls = 0;
  const puller = new ImagePuller({
    images: {
      pull: async () => {
        pulls += 1;
        throw new ImageError({ because: "x", fix: "y", kind: "retryable", retryAtMs });
      },
    },
    clock,
    random: () => 0,
    onResult: () => {},
    onWait: () => {},
  });
  puller.request("app:1");
  await turn();
  const state = puller.request("app:1");
  t.like(state, { kind: "failed", retryAtMs });
  t.is(puller.nextRetryAtMs(), retryAtMs);
  t.is(pulls, 1);
});

test("a pause is told once, and shown with the pulls under way", async (t) => {
  const clock = new SimulatedClock();
  const waiting = { host: "registry.example", untilMs: clock.now() + 10_000 };
  const told: unknown[] = [];
  const never: ImageStore["pull"] = (reference, { onProgress }) => {
    for (let time = 0; time < 3; time += 1) {
      onProgress?.({ reference, phase: "wait", bytesDone: 0, bytesTotal: 0, waiting });
    }
    return new Promise(() => {});
  };
  const puller = new ImagePuller({
    images: { pull: never },
    clock,
    random: () => 0,
    onResult: () => {},
    onWait: (...wait) => told.push(wait),
  });
  puller.request("app:1");
  await turn();
  t.deepEqual(told, [["app:1", waiting]]);
  t.like(puller.progress()[0], { reference: "app:1", phase: "wait", waiting });
  puller.close();
});

test("a failed pull that need not wait is tried at once, and waits longer when it fails again", async (t) => {
  const clock = new SimulatedClock();
  const failures: number[] = [];
  const news: boolean[] = [];
  const puller = new ImagePuller({
    images: {
      pull: async () => {
        throw new Error(failures.length < 2 ? "no space" : "no network");
      },
    },
    clock,
    random: () => 0.5,
    onResult: (result) => {
      failures.push(result.failures);
      news.push(result.isNews);
    },
    onWait: () => {},
  });
  const fail = async (): Promise<number> => {
    puller.beginRound();
    puller.request("app:1");
    await turn();
    t.is(puller.request("app:1").kind, "failed");
    return (puller.nextRetryAtMs() ?? 0) - clock.now();
  };
  const first = await fail();
  puller.retryNow("app:1");
  const second = await fail();
  t.true(second > first, `${first} and then ${second}`);
  puller.retryNow("app:1");
  await fail();
  t.deepEqual(failures, [1, 2, 3]);
  t.deepEqual(news, [true, false, true]);
});
