import { connect } from "node:net";
import { hostname } from "node:os";
import { gunzipSync } from "node:zlib";
import test from "ava";
import { startApi } from "../../agent/api/start-api.ts";
import { createSampleControl, sampleStatus } from "./sample-control.ts";
import { ask, silent, startTestAgent, type TestAgent } from "./test-agent.ts";

test("metrics are Prometheus text, compressed for who asks", async (t) => {
  const agent = await startTestAgent(t);
  const plain = await ask(tcp(agent), { path: "/metrics" });
  t.is(plain.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  t.is(plain.body.toString(), "berth_up 1\n");
  const zipped = await ask(tcp(agent), {
    path: "/metrics",
    headers: { "accept-encoding": "br, gzip;q=0.5" },
  });
  t.is(zipped.headers["content-encoding"], "gzip");
  t.is(gunzipSync(zipped.body).toString(), "berth_up 1\n");
  const unwanted = await ask(tcp(agent), {
    path: "/metrics",
    headers: { "accept-encoding": "gzip;q=0" },
  });
  t.is(unwanted.headers["content-encoding"], undefined);
});

test("scrapes that come together share one rendering", async (t) => {
  let renderings = 0;
  const agent = await startTestAgent(t, {
    metrics: async () => {
      renderings += 1;
      await new Promise((resolve) => {
        setTimeout(resolve, 3_000);
      });
      return { parts: [new TextEncoder().encode("berth_up 1\n")], release: () => {} };
    },
  });
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => ask(tcp(agent), { path: "/metrics" })),
  );
  t.true(answers.every(({ status }) => status === 200));
  t.is(renderings, 1);
});

test("the status page tells what is suspended, and since when", async (t) => {
  const suspended = [{ app: "shop", since: "2026-01-31T12:00:00.000Z" }];
  const agent = await startTestAgent(t, { status: async () => ({ ...sampleStatus, suspended }) });
  const { body } = await ask(tcp(agent), { path: "/" });
  t.regex(body.toString(), /<th>suspended<td>shop since 2026-01-31T12:00:00.000Z</);
});

test("health is answered at once, readiness with its reason", async (t) => {
  const agent = await startTestAgent(t, {
    ready: async () => false,
    status: async () => ({
      ...sampleStatus,
      apps: sampleStatus.apps.map((app) => ({
        ...app,
        verdict: "failed" as const,
        reason: "web exited with 1",
      })),
    }),
  });
  t.is((await ask(tcp(agent), { path: "/healthz" })).status, 200);
  const readiness = await ask(tcp(agent), { path: "/readyz" });
  t.is(readiness.status, 503);
  t.regex(readiness.body.toString(), /app shop is running, verdict failed: web exited with 1/);
  const healthy = await startTestAgent(t);
  t.is((await ask(tcp(healthy), { path: "/readyz" })).status, 200);
});

test("the page shows the status with every value escaped", async (t) => {
  const agent = await startTestAgent(t, {
    status: async () => ({ ...sampleStatus, host: "<script>alert(1)</script>", errors: ['a"b&c'] }),
  });
  const page = await ask(tcp(agent), { path: "/" });
  t.is(page.headers["content-type"], "text/html; charset=utf-8");
  t.regex(String(page.headers["content-security-policy"]), /default-src 'none'/);
  t.false(page.body.includes("<script>"));
  t.true(page.body.includes("a&#34;b&#38;c"));
});

for (const [method, path] of [
  ["GET", "/v1/status"],
  ["POST", "/v1/down"],
  ["POST", "/metrics"],
  ["DELETE", "/"],
  ["GET", "//metrics"],
  ["GET", "/../metrics"],
] as const) {
  test(`TCP answers 404 to ${method} ${path}`, async (t) => {
    const agent = await startTestAgent(t);
    t.is((await ask(tcp(agent), { method, path })).status, 404);
    t.deepEqual(agent.calls, []);
  });
}

test("TCP opens no exec stream", async (t) => {
  const agent = await startTestAgent(t);
  const first = await exchange(
    agent,
    "GET /v1/exec HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: berth-exec/1\r\n\r\n",
  );
  t.regex(first, /^HTTP\/1.1 404/);
});

test("headers above the limit are refused", async (t) => {
  const agent = await startTestAgent(t);
  t.regex(
    await exchange(agent, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`),
    /^HTTP\/1.1 431/,
  );
});

test("a body sent to TCP is not taken", async (t) => {
  const agent = await startTestAgent(t);
  const said = await exchange(
    agent,
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\nxxxx",
  );
  t.regex(said, /^HTTP\/1.1 200/);
  t.regex(said, /connection: close/i);
});

test("an address that is taken is named with a way out, and no socket stays", async (t) => {
  const agent = await startTestAgent(t);
  const other = await startTestAgent(t);
  await other.api.close();
  const { control } = createSampleControl();
  const listen = { host: "127.0.0.1", port: agent.api.port ?? 0 };
  await t.throwsAsync(startApi({ control, socketPath: other.socketPath, listen, log: silent }), {
    message: /cannot listen on 127.0.0.1:\d+ because .*choose another --listen/,
  });
  await t.throwsAsync(ask(other, { path: "/v1/status" }), { code: "ENOENT" });
});

const anyPort = (name: string) => [name, `${name}:9477`];
for (const host of [
  ...anyPort("localhost"),
  ...anyPort("127.0.0.1"),
  ...anyPort("192.0.2.7"),
  ...anyPort("[::1]"),
  ...anyPort("LOCALHOST."),
  ...anyPort(hostname()),
  "metrics.example.org",
]) {
  test(`a request for ${host} is answered`, async (t) => {
    const agent = await startTestAgent(t, {}, ["Metrics.example.org"]);
    t.is((await ask(tcp(agent), { path: "/metrics", headers: { host } })).status, 200);
  });
}

for (const host of [
  "rebind.example.org",
  "rebind.example.org:9477",
  "localhost.example.org",
  "127.0.0.1.example.org",
  "x.metrics.example.org",
  "[localhost]",
  "[::1].example.org",
]) {
  for (const path of ["/metrics", "/", "/healthz", "/nothing"]) {
    test(`a page behind the name "${host}" reads nothing of ${path}`, async (t) => {
      const agent = await startTestAgent(t, {}, ["metrics.example.org"]);
      const answer = await ask(tcp(agent), { path, headers: { host } });
      t.is(answer.status, 421);
      t.regex(answer.body.toString(), /allowedHosts/);
    });
  }
}

function tcp(agent: TestAgent): { readonly port: number } {
  return { port: agent.api.port ?? 0 };
}

/** Sends raw bytes and returns all that comes back before the end, or within a second. */
function exchange(agent: TestAgent, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(tcp(agent).port, "127.0.0.1");
    let said = "";
    const finish = (): void => {
      clearTimeout(patience);
      socket.destroy();
      resolve(said);
    };
    const patience = setTimeout(finish, 1000);
    socket.on("data", (chunk) => {
      said += chunk.toString("latin1");
    });
    socket.on("close", finish);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET" || error.code === "EPIPE") finish();
      else reject(error);
    });
    socket.write(text);
  });
}
