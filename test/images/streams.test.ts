import { randomBytes } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import test from "ava";
import { decompressed } from "../../runtime/images/decompress.ts";
import { digestOf } from "../../runtime/images/digest.ts";
import { SharedJobs } from "../../runtime/images/shared-jobs.ts";
import { Slots } from "../../runtime/images/slots.ts";
import { verified } from "../../runtime/images/verified-stream.ts";
import { soon } from "./store-harness.ts";

const plain = randomBytes(3_000_000);
const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
const half = plain.length / 2;

const forms: readonly (readonly [string, Buffer])[] = [
  ["plain bytes", plain],
  ["gzip", gzipSync(plain)],
  [
    "gzip of two members",
    Buffer.concat([gzipSync(plain.subarray(0, half)), gzipSync(plain.subarray(half))]),
  ],
  ["zstd", zstdCompressSync(plain)],
  [
    "zstd of several frames with skippable ones between",
    Buffer.concat([
      skippable,
      zstdCompressSync(plain.subarray(0, half)),
      skippable,
      zstdCompressSync(plain.subarray(half)),
    ]),
  ],
];

for (const [name, bytes] of forms) {
  for (const size of [1000, 1 << 16]) {
    test(`${name} in chunks of ${size} becomes what it was`, async (t) => {
      t.true((await collect(bytes, size)).equals(plain));
    });
  }
}

test("an empty stream stays empty", async (t) => {
  t.is((await collect(Buffer.alloc(0), 1)).length, 0);
});

test("a compressed stream that was cut is an error", async (t) => {
  for (const bytes of [gzipSync(plain), zstdCompressSync(plain)]) {
    await t.throwsAsync(collect(bytes.subarray(0, -100), 1 << 16), { message: /is not valid/ });
  }
});

test("a bomb ends in an error before it has unpacked", async (t) => {
  const bomb = zstdCompressSync(Buffer.alloc(700 * 1024 * 1024));
  t.true(bomb.length < 200_000);
  let bytes = 0;
  const reading = async () => {
    for await (const chunk of decompressed(chunks(bomb, 1000), options())) bytes += chunk.length;
  };
  await t.throwsAsync(reading, { message: /looks like a bomb/ });
  t.true(bytes < 600 * 1024 * 1024);
});

test("a failing source gives its own error, not the decoder's", async (t) => {
  const reading = decompressed(failing(), options());
  await t.throwsAsync(reading.next(), { message: "the cable was pulled" });
});

test("a consumer that stops early ends the source", async (t) => {
  let ended = false;
  async function* endless(): AsyncGenerator<Buffer> {
    try {
      for (;;) yield gzipSync(plain);
    } finally {
      ended = true;
    }
  }
  for await (const _ of decompressed(endless(), options())) break;
  t.true(ended);
});

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

async function* failing(): AsyncGenerator<Buffer> {
  yield gzipSync(plain).subarray(0, 5000);
  throw new Error("the cable was pulled");
}

function options() {
  return { name: "the layer", bytesMax: 1 << 30, abort: soon() };
}

async function collect(bytes: Buffer, size: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of decompressed(chunks(bytes, size), options())) parts.push(part);
  return Buffer.concat(parts);
}

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
