import { request } from "node:http";
import { type Duplex, Writable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { fc, testProp } from "@fast-check/ava";
import test, { type ExecutionContext } from "ava";
import {
  createFrameDecoder,
  EXEC_PROTOCOL,
  encodeFrame,
  encodeJsonFrame,
  FRAME,
  type Frame,
} from "../../agent/api/exec-frames.ts";
import { startSession } from "./sample-control.ts";
import { startTestAgent } from "./test-agent.ts";

testProp(
  "frames come out as they went in, however the bytes are cut",
  [
    fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
    fc.infiniteStream(fc.integer({ min: 1, max: 64 })),
  ],
  (t, payloads, sizes) => {
    const bytes = Buffer.concat(payloads.map((payload) => encodeFrame(FRAME.stdin, payload)));
    const decode = createFrameDecoder();
    const frames: Frame[] = [];
    for (let start = 0; start < bytes.length; ) {
      const size = sizes.next().value ?? 1;
      frames.push(...decode(bytes.subarray(start, start + size)));
      start += size;
    }
    t.deepEqual(
      frames.map(({ payload }) => new Uint8Array(payload)),
      payloads.map((payload) => new Uint8Array(payload)),
    );
  },
);

const open = encodeJsonFrame(FRAME.open, { name: "web", argv: ["cat"], stdin: true });
const big = Buffer.alloc(5);
big.writeUInt8(FRAME.stdin);
big.writeUInt32LE(0x7fffffff, 1);

for (const { title, bytes, says } of [
  {
    title: "an unknown frame type",
    bytes: Buffer.from([99, 0, 0, 0, 0]),
    says: /frame type 99 is unknown/,
  },
  { title: "a frame that claims two gigabytes", bytes: big, says: /2147483647 bytes is above/ },
  {
    title: "input before the request",
    bytes: encodeFrame(FRAME.stdin, Buffer.from("x")),
    says: /first frame that is not OPEN/,
  },
  {
    title: "a request that is not JSON",
    bytes: encodeFrame(FRAME.open, Buffer.from("{")),
    says: /not JSON/,
  },
  {
    title: "an unknown field",
    bytes: encodeJsonFrame(FRAME.open, { name: "a", argv: ["b"], privileged: true }),
    says: /privileged/,
  },
  {
    title: "no command",
    bytes: encodeJsonFrame(FRAME.open, { name: "a", argv: [] }),
    says: /argv/,
  },
  {
    title: "a NUL in an argument",
    bytes: encodeJsonFrame(FRAME.open, { name: "a", argv: ["b\0c"] }),
    says: /NUL/,
  },
  {
    title: "a second request",
    bytes: Buffer.concat([open, open]),
    says: /type 1 in the wrong place/,
  },
  {
    title: "a frame that only the agent sends",
    bytes: Buffer.concat([open, encodeFrame(FRAME.exit)]),
    says: /type 20 in the wrong place/,
  },
  {
    title: "a window without columns",
    bytes: Buffer.concat([open, encodeJsonFrame(FRAME.resize, { rows: 1 })]),
    says: /columns/,
  },
  {
    title: "signal 200",
    bytes: Buffer.concat([open, encodeFrame(FRAME.signal, Uint8Array.of(200))]),
    says: /wrong frame/,
  },
  {
    title: "more input than the window",
    bytes: Buffer.concat([
      open,
      ...Array.from({ length: 6 }, () => encodeFrame(FRAME.stdin, Buffer.alloc(65_536))),
    ]),
    says: /above the window|too many/,
  },
  {
    title: "a flood of empty frames before the start",
    bytes: Buffer.concat([open, ...Array.from({ length: 3000 }, () => encodeFrame(FRAME.stdin))]),
    says: /too many before/,
  },
]) {
  test(`an exec stream refuses ${title}`, async (t) => {
    const sent = Promise.withResolvers<void>();
    const agent = await startTestAgent(t, {
      exec: async (_name, spec) => {
        // Every frame arrives before the process exists: what was sent is read within some turns of this loop.
        await sent.promise;
        for (let turn = 0; turn < 100; turn += 1) await setImmediate();
        // It takes nothing, so that nothing is credited.
        return { ...startSession(spec), stdin: new Writable({ write() {} }) };
      },
    });
    const said = await talk(t, agent.socketPath, bytes, sent.resolve);
    const last = said.at(-1);
    t.is(last?.type, FRAME.error);
    const { error, kind } = JSON.parse(String(last?.payload));
    t.regex(error, says);
    t.true(kind === "usage" || kind === "failed");
  });
}

test("closing the API ends a running exec with an error", async (t) => {
  const agent = await startTestAgent(t);
  const talking = talk(
    t,
    agent.socketPath,
    encodeJsonFrame(FRAME.open, { name: "a", argv: ["sleep", "60"] }),
  );
  while (agent.calls.length === 0) await pause(10);
  await agent.api.close();
  const last = (await talking).at(-1);
  t.is(last?.type, FRAME.error);
  t.regex(String(last?.payload), /the agent is ending/);
});

test("an upgrade to another protocol is refused", async (t) => {
  const agent = await startTestAgent(t);
  const status = await new Promise((resolve, reject) => {
    const asking = request({
      socketPath: agent.socketPath,
      path: "/v1/exec",
      headers: { connection: "Upgrade", upgrade: "websocket" },
    });
    asking.once("response", (response) => resolve(response.statusCode));
    asking.once("error", reject);
    asking.end();
  });
  t.is(status, 404);
});

/** Sends the bytes on a fresh exec stream and returns every frame until its end. */
async function talk(
  t: ExecutionContext,
  socketPath: string,
  bytes: Buffer,
  onSent: () => void = () => undefined,
): Promise<readonly Frame[]> {
  const connection = await new Promise<Duplex>((resolve, reject) => {
    const asking = request({
      socketPath,
      path: "/v1/exec",
      headers: { connection: "Upgrade", upgrade: EXEC_PROTOCOL },
    });
    asking.once("upgrade", (_response, socket) => resolve(socket));
    asking.once("error", reject);
    asking.end();
  });
  t.teardown(() => connection.destroy());
  connection.on("error", () => undefined);
  connection.write(bytes, onSent);
  const decode = createFrameDecoder();
  const frames: Frame[] = [];
  for await (const chunk of connection) frames.push(...decode(chunk));
  return frames;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
