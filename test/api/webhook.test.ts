import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { OutgoingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { startApi } from "../../agent/api/start-api.ts";
import { openDatabase } from "../../agent/store/open-database.ts";
import {
  createStateStore,
  type StateStore,
  stateMigrations,
} from "../../agent/store/state-store.ts";
import { createHookReceiver } from "../../agent/webhook/hook-receiver.ts";
import { createSampleControl } from "./sample-control.ts";
import { type Answer, ask, silent } from "./test-agent.ts";

const secret = "a secret of this host";
const body = '{"ref":"refs/heads/main"}';

test("a delivery signed as GitHub, Gitea, Forgejo or GitLab do makes the agent fetch", async (t) => {
  const host = await startHost(t, [secret]);
  const hex = hmac(secret, body);
  const ways: readonly [string, OutgoingHttpHeaders][] = [
    ["github", { "x-hub-signature-256": `sha256=${hex}` }],
    ["gitea", { "x-gitea-signature": hmac(secret, "gitea"), "x-hub-signature-256": "sha256=0" }],
    ["gitea", { "x-forgejo-signature": hmac(secret, "forgejo") }],
    ["gitlab", { "x-gitlab-token": secret }],
  ];
  const bodies = [body, "gitea", "forgejo", body];
  for (const [index, [sender, headers]] of ways.entries()) {
    const answer = await host.deliver(bodies[index] ?? "", headers);
    t.deepEqual([answer.status, answer.body.toString()], [202, "fetching\n"], sender);
  }
  t.deepEqual(host.hooks, ["github", "gitea", "gitea", "gitlab"]);
});

test("the examples that GitHub and Standard Webhooks publish are accepted", async (t) => {
  const github = await startHost(t, ["It's a Secret to Everybody"]);
  const signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  const headers = { "x-hub-signature-256": `sha256=${signature}` };
  t.is((await github.deliver("Hello, World!", headers)).status, 202);
  const standard = await startHost(t, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], 1614265330_000);
  const answer = await standard.deliver('{"test": 2432232314}', {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
  t.is(answer.status, 202);
  t.deepEqual(standard.hooks, ["standard"]);
});

test("what is not signed with the secret changes nothing", async (t) => {
  const host = await startHost(t, [secret]);
  const wrong = hmac("another secret of another", body);
  const tries: readonly OutgoingHttpHeaders[] = [
    {},
    { "x-hub-signature-256": `sha256=${wrong}` },
    { "x-hub-signature-256": hmac(secret, `${body} `) },
    { "x-hub-signature-256": "sha256=" },
    { "x-hub-signature": `sha1=${"0".repeat(40)}` },
    { "x-gitea-signature": "not hex" },
    { "x-gitlab-token": "another secret of another" },
    { "webhook-id": "1", "webhook-timestamp": "0", "webhook-signature": "v1,AAAA" },
    { "webhook-id": "1", "webhook-timestamp": "soon", "webhook-signature": "v1,AAAA" },
  ];
  for (const headers of tries) t.is((await host.deliver(body, headers)).status, 401);
  t.deepEqual(host.hooks, []);
  t.is(host.refused(), tries.length);
});

test("a delivery that comes again does nothing, nor does one whose time is past", async (t) => {
  const host = await startHost(t, [secret], 1_000_000_000_000);
  const signed = { "x-hub-signature-256": `sha256=${hmac(secret, body)}` };
  t.is((await host.deliver(body, signed)).status, 202);
  const again = await host.deliver(body, { ...signed, "x-github-delivery": "other" });
  t.deepEqual([again.status, again.body.toString()], [200, "seen before\n"]);
  const at = (time: string) => ({
    "webhook-id": "m",
    "webhook-timestamp": time,
    "webhook-signature": `v1,${hmac(secret, `m.${time}.${body}`, "base64")}`,
  });
  t.is((await host.deliver(body, at("999999699"))).status, 401);
  t.is((await host.deliver(body, at("1000000301"))).status, 401);
  t.is((await host.deliver(body, at("999999700"))).status, 202);
  t.deepEqual(host.hooks, ["github", "standard"]);
});

test("a delivery of GitLab that comes again does nothing, whatever version of it names the delivery", async (t) => {
  const host = await startHost(t, [secret]);
  const deliver = async (names: OutgoingHttpHeaders, content = body) => {
    const answer = await host.deliver(content, { "x-gitlab-token": secret, ...names });
    return answer.body.toString();
  };
  for (const name of ["idempotency-key", "x-gitlab-webhook-uuid", "x-gitlab-event-uuid"]) {
    t.is(await deliver({ [name]: "1" }, name), "fetching\n");
    t.is(await deliver({ [name]: "1" }, name), "seen before\n");
    t.is(await deliver({ [name]: "2" }, name), "fetching\n");
  }
  // What is tried again has another event, and the same key.
  const first = { "idempotency-key": "k", "x-gitlab-event-uuid": "1" };
  t.is(await deliver(first), "fetching\n");
  t.is(await deliver({ ...first, "x-gitlab-event-uuid": "2" }), "seen before\n");
  t.is(await deliver({}), "fetching\n");
  t.is(await deliver({}), "fetching\n");
});

test("a delivery is known again by the next agent", async (t) => {
  const signed = { "x-hub-signature-256": `sha256=${hmac(secret, body)}` };
  const path = join(mkdtempSync(join(tmpdir(), "bt-deliveries-")), "state.db");
  t.teardown(() => rmSync(dirname(path), { recursive: true, force: true }));
  const before = openState(path);
  t.is((await (await startHost(t, [secret], 0, before)).deliver(body, signed)).status, 202);
  before.close();
  const after = openState(path);
  t.is((await (await startHost(t, [secret], 0, after)).deliver(body, signed)).status, 200);
  after.close();
});

test("any of several secrets counts, and another one from the next delivery on", async (t) => {
  const host = await startHost(t, ["# earlier", "an earlier secret of it", secret]);
  const token = (value: string) => host.deliver(body, { "x-gitlab-token": value });
  t.is((await token("an earlier secret of it")).status, 202);
  t.is((await token("# earlier")).status, 401);
  host.setSecrets([secret]);
  t.is((await token("an earlier secret of it")).status, 401);
  host.setSecrets(["short"]);
  t.is((await token("short")).status, 500);
});

test("a delivery above the limit is refused while it comes", async (t) => {
  const host = await startHost(t, [secret]);
  const large = Buffer.alloc(26 * 1_048_576, "x");
  const answer = await host.deliver(large, { "x-hub-signature-256": `sha256=${"0".repeat(64)}` });
  t.is(answer.status, 413);
  t.deepEqual(host.hooks, []);
});

test("only POST of /hook is a delivery, and without a secret file there is none", async (t) => {
  const host = await startHost(t, [secret]);
  t.is((await host.ask({ path: "/hook" })).status, 404);
  t.is((await host.ask({ method: "PUT", path: "/hook" })).status, 404);
  const bare = await startHost(t, null);
  t.is((await bare.ask({ method: "POST", path: "/hook" })).status, 404);
});

function openState(path: string): StateStore & { close(): void } {
  const database = openDatabase({ path, synchronous: "OFF", migrations: stateMigrations });
  return Object.assign(createStateStore(database), { close: () => database.close() });
}

async function startHost(
  t: ExecutionContext,
  secrets: readonly string[] | null,
  nowMs = 0,
  given?: StateStore,
) {
  const root = mkdtempSync(join(tmpdir(), "bt-hook-"));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const own = given === undefined ? openState(join(root, "state.db")) : undefined;
  if (own !== undefined) t.teardown(() => own.close());
  const state = given ?? own;
  const secretFile = join(root, "secret");
  const setSecrets = (lines: readonly string[]) =>
    writeFileSync(secretFile, `${lines.join("\n")}\n`);
  if (secrets !== null) setSecrets(secrets);
  const hooks: string[] = [];
  let refused = 0;
  const hook = createHookReceiver({
    secretFile,
    now: () => nowMs,
    isNew: (mark) => state?.takeDelivery(mark, nowMs) === true,
    onHook: (sender) => hooks.push(sender),
    onRefused: () => {
      refused += 1;
    },
  });
  const api = await startApi({
    control: createSampleControl().control,
    socketPath: join(root, "agent.sock"),
    listen: { host: "127.0.0.1", port: 0 },
    hook: secrets === null ? undefined : hook,
    log: silent,
  });
  t.teardown(() => api.close());
  const port = api.port ?? 0;
  return {
    hooks,
    setSecrets,
    refused: () => refused,
    ask: (asking: { readonly method?: string; readonly path: string }) => ask({ port }, asking),
    // Behind a proxy the host has a name that only the proxy knows.
    deliver: (content: string | Buffer, headers: OutgoingHttpHeaders): Promise<Answer> =>
      ask(
        { port },
        {
          method: "POST",
          path: "/hook",
          body: content,
          headers: { host: "ci.example.org", ...headers },
        },
      ),
  };
}

function hmac(key: string, text: string, encoding: "hex" | "base64" = "hex"): string {
  return createHmac("sha256", key).update(text).digest(encoding);
}
