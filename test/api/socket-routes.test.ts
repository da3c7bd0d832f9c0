import { request } from "node:http";
import test from "ava";
import { from, samplePs, sampleStatus } from "./sample-control.ts";
import { ask, json, startTestAgent } from "./test-agent.ts";

test("every reading call is answered with its JSON", async (t) => {
  const agent = await startTestAgent(t);
  t.deepEqual(json(await ask(agent, { path: "/v1/status" })), sampleStatus);
  t.deepEqual(json(await ask(agent, { path: "/v1/ps" })), [samplePs]);
  t.is((json(await ask(agent, { path: "/v1/ps?all=true" })) as unknown[]).length, 2);
  t.deepEqual(json(await ask(agent, { path: "/v1/inspect?name=shop%2Fweb" })), {
    name: "shop/web",
    kind: "container",
  });
  t.deepEqual(json(await ask(agent, { path: "/v1/ready" })), { ready: true });
});

test("a change is carried out with the fields of its body", async (t) => {
  const agent = await startTestAgent(t);
  const answer = await ask(agent, {
    method: "POST",
    path: "/v1/stop",
    body: '{"name":"shop/web","graceMs":5}',
  });
  t.is(answer.status, 200);
  t.deepEqual(agent.calls, ['stop shop/web {"graceMs":5}']);
});

const refused = [
  { title: "an unknown route", path: "/v1/nothing", status: 404, says: /no such route/ },
  {
    title: "a reading route by POST",
    method: "POST",
    path: "/v1/ps",
    status: 404,
    says: /no such route/,
  },
  {
    title: "an unknown field in a body",
    method: "POST",
    path: "/v1/start",
    body: '{"name":"a","force":true}',
    status: 400,
    says: /force/,
  },
  { title: "an unknown field in a query", path: "/v1/ps?every=true", status: 400, says: /every/ },
  {
    title: "a field given twice",
    path: "/v1/ps?all=true&all=false",
    status: 400,
    says: /all is given twice/,
  },
  { title: "a missing field", method: "POST", path: "/v1/start", status: 400, says: /name/ },
  {
    title: "a body that is not JSON",
    method: "POST",
    path: "/v1/start",
    body: "{name:",
    status: 400,
    says: /not JSON/,
  },
  {
    title: "a body that is not UTF-8",
    method: "POST",
    path: "/v1/start",
    body: Buffer.from([0x22, 0xff, 0x22]),
    status: 400,
    says: /not JSON/,
  },
  {
    title: "a prototype smuggled in",
    method: "POST",
    path: "/v1/start",
    body: '{"name":"a","__proto__":{"x":1}}',
    status: 400,
    says: /__proto__/,
  },
  {
    title: "a signal that is none",
    method: "POST",
    path: "/v1/kill",
    body: '{"name":"a","signal":"; rm"}',
    status: 400,
    says: /signal/,
  },
  {
    title: "a relative path to load",
    method: "POST",
    path: "/v1/load",
    body: '{"path":"../x"}',
    status: 400,
    says: /absolute/,
  },
  {
    title: "a number of lines that is none",
    path: "/v1/logs?name=a&tail=-1",
    status: 400,
    says: /tail/,
  },
  {
    title: "a body above the limit",
    method: "POST",
    path: "/v1/start",
    body: "x".repeat(300_000),
    status: 413,
    says: /larger than/,
  },
];
for (const { title, status, says, ...asking } of refused) {
  test(`the socket refuses ${title}`, async (t) => {
    const agent = await startTestAgent(t);
    const answer = await ask(agent, asking);
    t.is(answer.status, status);
    const { error, kind } = json(answer) as { error: string; kind: string };
    t.regex(error, says);
    t.is(kind, status === 404 ? "not-found" : "usage");
    t.deepEqual(agent.calls, []);
  });
}

test("a body that never says its length is cut off at the limit", async (t) => {
  const agent = await startTestAgent(t);
  const status = await new Promise<number | string>((resolve) => {
    const endless = request({ socketPath: agent.socketPath, method: "POST", path: "/v1/start" });
    const timer = setInterval(() => endless.write("x".repeat(65_536)), 1);
    const finish = (result: number | string): void => {
      clearInterval(timer);
      endless.destroy();
      resolve(result);
    };
    endless.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? "error"));
    endless.on("response", (response) => finish(response.statusCode ?? 0));
  });
  t.true(status === 413 || status === "EPIPE" || status === "ECONNRESET", String(status));
  t.is((await ask(agent, { path: "/v1/status" })).status, 200);
});

test("the kind of an error decides the status code", async (t) => {
  const agent = await startTestAgent(t, {
    images: fail("waiting"),
    status: fail("stalled"),
    ps: fail("not-found"),
    plan: fail("odd"),
  });
  const statuses = await Promise.all(
    ["images", "status", "ps", "plan"].map(
      async (name) => (await ask(agent, { path: `/v1/${name}` })).status,
    ),
  );
  t.deepEqual(statuses, [503, 409, 404, 500]);
  t.deepEqual(json(await ask(agent, { path: "/v1/images" })), {
    error: "cannot do it because waiting",
    kind: "waiting",
  });
});

test("a sync without a verdict in time says so", async (t) => {
  const agent = await startTestAgent(t, {
    sync: (abort) =>
      new Promise((_resolve, reject) => {
        abort.addEventListener("abort", () => reject(abort.reason));
      }),
  });
  const answer = await ask(agent, { method: "POST", path: "/v1/sync", body: '{"timeoutMs":20}' });
  t.is(answer.status, 504);
  t.regex((json(answer) as { error: string }).error, /no verdict within 0.02 s/);
});

test("streams are JSON lines, and a failure on the way is the last line", async (t) => {
  const agent = await startTestAgent(t, {
    logs: async () =>
      (async function* () {
        yield { stream: "stdout" as const, time: "T", text: "one\n" };
        throw new Error("cannot read on because the log is gone");
      })(),
  });
  const answer = await ask(agent, { path: "/v1/logs?name=a" });
  t.is(answer.headers["content-type"], "application/x-ndjson");
  t.deepEqual(
    answer.body
      .toString()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
    [
      { stream: "stdout", time: "T", text: "one\n" },
      { error: "cannot read on because the log is gone", kind: "failed" },
    ],
  );
});

test("a pull reports its progress and then the image", async (t) => {
  const agent = await startTestAgent(t, {
    pull: async (reference, { onProgress }) => {
      onProgress({ reference, bytesDone: 1, bytesTotal: 2, phase: "download" });
      return {
        digest: "sha256:1",
        references: [reference],
        sizeBytes: 2,
        pulledAt: "T",
        inUse: false,
      };
    },
  });
  const answer = await ask(agent, {
    method: "POST",
    path: "/v1/pull",
    body: '{"reference":"a:1"}',
  });
  const lines = answer.body
    .toString()
    .trim()
    .split("\n")
    .map((line) => Object.keys(JSON.parse(line))[0]);
  t.deepEqual(lines, ["progress", "image"]);
});

test("a reader that is slow or gone stops the source of a stream", async (t) => {
  let produced = 0;
  const ended = Promise.withResolvers<string>();
  const agent = await startTestAgent(t, {
    events: async function* () {
      try {
        for (;;) {
          produced += 1;
          yield {
            id: produced,
            time: "T",
            kind: "k",
            app: null,
            target: "t",
            message: "m".repeat(4096),
            fields: {},
          };
        }
      } finally {
        ended.resolve("ended");
      }
    },
  });
  const reader = request({ socketPath: agent.socketPath, path: "/v1/events?follow=true" });
  reader.on("error", () => undefined);
  reader.end();
  await new Promise((resolve) => {
    reader.once("response", resolve);
  });
  await pause(300);
  const producedUnread = produced;
  await pause(200);
  t.is(produced, producedUnread);
  t.true(produced < 5000, `${produced} events for a reader that reads nothing`);
  reader.destroy();
  t.is(await Promise.race([ended.promise, pause(3000)]), "ended");
});

test("closing ends whoever follows", async (t) => {
  const follows = Promise.withResolvers<void>();
  const agent = await startTestAgent(t, {
    events: ({ abort }) =>
      (async function* () {
        yield* from([]);
        follows.resolve();
        await new Promise((resolve) => {
          abort.addEventListener("abort", resolve);
        });
      })(),
  });
  const following = ask(agent, { path: "/v1/events?follow=true" });
  await follows.promise;
  await agent.api.close();
  t.is((await following).status, 200);
});

function fail(kind: string): () => Promise<never> {
  return async () => {
    throw Object.assign(new Error(`cannot do it because ${kind}`), { kind });
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
