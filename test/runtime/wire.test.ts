import { PassThrough, Writable } from "node:stream";
import { fc, testProp } from "@fast-check/ava";
import test from "ava";
import { type Message, receiveMessages, sendMessage } from "../../runtime/helper/message-stream.ts";
import { WireReader, WireWriter } from "../../runtime/helper/wire.ts";

const text = fc
  .string({ unit: "binary" })
  .filter((value) => !value.includes("\0") && value.isWellFormed());

testProp(
  "what is written is read back, whatever the sizes",
  [
    fc.array(text),
    fc.uint8Array({ maxLength: 9000 }),
    fc.nat(),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  ],
  (t, list, bytes, small, large) => {
    t.is(new WireReader(new WireWriter().u32(small).finish()).u32(), small);
    const writer = new WireWriter();
    writer
      .list(list, (value) => writer.string(value))
      .bytes(bytes)
      .u64(large);
    const reader = new WireReader(writer.finish());
    t.deepEqual(
      reader.list(() => reader.string()),
      list,
    );
    t.deepEqual([...reader.bytes()], [...bytes]);
    t.is(reader.u64(), large);
  },
);

test("text with a NUL is refused: the kernel would read it as shorter", (t) => {
  t.throws(() => new WireWriter().string("a\0b"), { message: /NUL/ });
});

test("fields that reach beyond the message are refused", (t) => {
  const body = new WireWriter().u32(1000).raw(Buffer.from("short")).finish();
  t.throws(() => new WireReader(body).string(), { instanceOf: RangeError });
  t.throws(() => new WireReader(new WireWriter().u32(0xffff_ffff).finish()).list(() => 0), {
    instanceOf: RangeError,
  });
});

testProp(
  "messages survive any cutting of the stream",
  [fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1 }), fc.integer({ min: 1, max: 40 })],
  (t, bodies, step) => {
    const chunks: Buffer[] = [];
    const sent = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        chunks.push(chunk);
        done();
      },
    });
    for (const [index, body] of bodies.entries()) {
      sendMessage(sent, { id: index + 1, type: 70, body: Buffer.from(body) });
    }
    const bytes = Buffer.concat(chunks);
    const stream = new PassThrough();
    const received: Message[] = [];
    receiveMessages(stream, (message) => received.push(message));
    for (let at = 0; at < bytes.length; at += step)
      stream.emit("data", bytes.subarray(at, at + step));
    t.deepEqual(
      received.map(({ id, body }) => [id, [...body]]),
      bodies.map((body, index) => [index + 1, [...body]]),
    );
  },
);

test("a stream that speaks another version is given up with what was seen", async (t) => {
  const stream = new PassThrough();
  receiveMessages(stream, () => t.fail());
  const failed = new Promise<Error>((resolve) => {
    stream.once("error", resolve);
  });
  stream.write(Buffer.from([0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 9, 0]));
  t.regex((await failed).message, /protocol version 9/);
});
