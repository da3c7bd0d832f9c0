import test from "ava";
import { digestOf } from "../../runtime/images/digest.ts";
import { SharedJobs } from "../../runtime/images/shared-jobs.ts";
import { Slots } from "../../runtime/images/slots.ts";
import { verified } from "../../runtime/images/verified-stream.ts";
import { soon } from "./store-harness.ts";

test("verification fails on other content, shorter content and longer content", async (t) => {
  const expected = { digest: digestOf("abc"), size: 3, name: "the blob" };
  const read = async (text: string) => {
    for await (const _ of verified(chunks(Buffer.from(text), 2), expected));
  };
  await t.notThrowsAsync(read("abc"));
  await t.throwsAsync(read("abd"), { message: /the blob has the digest/ });
  await t.throwsAsync(read("ab"), { message: /has 2 bytes instead of the 3/ });
  await t.throwsAsync(read("abcd"), { message: /is longer than the 3 bytes/ });
});

test("shared work runs once and is aborted when the last caller leaves", async (t) => {
  const jobs = new SharedJobs<number, never>();
  let runs = 0;
  let aborted = false;
  const work = (abort: AbortSignal): Promise<number> =>
    new Promise((_, reject) => {
      runs += 1;
      abort.addEventListener("abort", () => {
        aborted = true;
        reject(abort.reason);
      });
    });
  const [a, b] = [new AbortController(), new AbortController()];
  const waits = [a, b].map(({ signal }) => jobs.run("key", { abort: signal }, work));
  a.abort(new Error("a left"));
  await t.throwsAsync(waits[0] ?? Promise.resolve(), { message: "a left" });
  t.false(aborted);
  b.abort(new Error("b left"));
  await t.throwsAsync(waits[1] ?? Promise.resolve(), { message: "b left" });
  t.true(aborted);
  t.is(runs, 1);
  t.is(await jobs.run("key", { abort: soon() }, async () => 7), 7);
});

test("no more slots are in use than there are, and a waiter may leave the queue", async (t) => {
  const slots = new Slots(2);
  let now = 0;
  let most = 0;
  const work = async () => {
    now += 1;
    most = Math.max(most, now);
    await new Promise((resolve) => setTimeout(resolve, 5));
    now -= 1;
  };
  const leave = new AbortController();
  const runs = Array.from({ length: 6 }, () => slots.use(soon(), work));
  const left = slots.use(leave.signal, work);
  leave.abort(new Error("left"));
  await t.throwsAsync(left, { message: "left" });
  await Promise.all(runs);
  t.is(most, 2);
});

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
