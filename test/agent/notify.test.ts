import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import { Notifier } from "../../agent/notify/notifier.ts";
import { NotificationTarget } from "../../agent/notify/notify-config.ts";
import { RefusedError } from "../../agent/notify/post.ts";
import { send } from "../../agent/notify/send.ts";
import { createEventLog, type EventLog } from "../../agent/store/event-log.ts";
import { stateMigrations } from "../../agent/store/state-store.ts";
import { silent } from "../api/test-agent.ts";
import { SimulatedClock } from "../simulation/simulated-clock.ts";
import { serveHttp, serveSmtp } from "./told-places.ts";

const sha = "0123456789abcdef0123456789abcdef01234567";
const never = new AbortController().signal;
const failure = {
  kind: "rollout.failed",
  app: "shop",
  target: "shop",
  message: 'shop at 0123456789ab is failed: web "exited" <1>',
  fields: { revision: sha },
} as const;

test("a failed rollout is told to each kind of place in its own form", async (t) => {
  const server = await serveHttp(t);
  const dir = temporary(t);
  const secret = (name: string, text: string) => {
    writeFileSync(join(dir, name), `${text}\n`);
    return join(dir, name);
  };
  const tokenFile = secret("token", "t0ken-of-tests");
  const repository = "fleet/manifests";
  const forge = { kind: "commit-status", api: `${server.url}/api`, repository, tokenFile } as const;
  const template = '{"say":"{{title}}: {{message}}","what":"{{occasion}}"}';
  const targets = [
    { kind: "webhook", url: `${server.url}/plain`, headers: { "X-Site": "oslo" }, tokenFile },
    { kind: "webhook", urlFile: secret("url", `${server.url}/hook`), template },
    { kind: "slack", urlFile: secret("slack", `${server.url}/slack`) },
    { kind: "ntfy", url: `${server.url}/topic`, tokenFile },
    { ...forge, forge: "github" },
    { ...forge, forge: "gitlab" },
    { ...forge, forge: "gitea" },
  ].map((target) => NotificationTarget.parse(target));
  for (const target of targets) await send(target, notificationOf(failure), never);
  const bodies = server.requests.map(({ url, body }) => [url, body]);
  const message = failure.message;
  const title = "oslo-1: shop failed";
  const context = "berth/oslo-1/shop";
  t.deepEqual(bodies, [
    ["/plain", JSON.stringify(notificationOf(failure))],
    ["/hook", JSON.stringify({ say: `${title}: ${message}`, what: "failed" })],
    [
      "/slack",
      JSON.stringify({
        text: `*${title}*\n${message.replace("<1>", "&lt;1&gt;")}`,
      }),
    ],
    ["/topic", message],
    [
      `/api/repos/${repository}/statuses/${sha}`,
      JSON.stringify({ state: "failure", context, description: message }),
    ],
    [
      `/api/projects/fleet%2Fmanifests/statuses/${sha}`,
      JSON.stringify({ state: "failed", name: context, description: message }),
    ],
    [
      `/api/repos/${repository}/statuses/${sha}`,
      JSON.stringify({ state: "failure", context, description: message }),
    ],
  ]);
  const headers = server.requests.map((request) => request.headers);
  t.like(headers[0], { "x-site": "oslo", authorization: "Bearer t0ken-of-tests" });
  t.like(headers[3], { title, priority: "high", authorization: "Bearer t0ken-of-tests" });
  t.is(headers[4]?.authorization, "Bearer t0ken-of-tests");
  t.is(headers[5]?.["private-token"], "t0ken-of-tests");
  t.is(headers[6]?.authorization, "token t0ken-of-tests");
});

test("a mail is handed to an SMTP server", async (t) => {
  const mail = await serveSmtp(t);
  const target = NotificationTarget.parse({
    kind: "smtp",
    server: "127.0.0.1",
    port: mail.port,
    security: "none",
    from: "berth <berth@example.org>",
    to: ["ops@example.org"],
  });
  await send(target, notificationOf(failure), never);
  const said = mail.said();
  t.regex(said, /RCPT TO:<ops@example\.org>/);
  t.regex(said, /Subject: oslo-1: shop failed/);
  t.regex(said, /shop at 0123456789ab is failed/);
  t.regex(said, new RegExp(`revision: ${sha}`));
  const strict = NotificationTarget.parse({ ...target, security: "starttls" });
  await t.throwsAsync(send(strict, notificationOf(failure), never), {
    message: /^cannot hand a mail to 127\.0\.0\.1 \(\w+\)$/,
  });
});

test("a mail that the server does not want for good is told from one that it cannot take now", async (t) => {
  const answers: readonly (readonly [string, string, boolean])[] = [
    ["RCPT", "550 5.1.1 no such user", true],
    ["MAIL", "553 no such sender", true],
    [".", "554 this is spam", true],
    ["RCPT", "450 busy", false],
    ["MAIL", "530 log in first", false],
    [".", "452 no room", false],
  ];
  for (const [verb, answer, isRefused] of answers) {
    const { port } = await serveSmtp(t, { [verb]: answer });
    const target = NotificationTarget.parse({
      kind: "smtp",
      server: "127.0.0.1",
      port,
      security: "none",
      from: "berth@example.org",
      to: ["ops@example.org"],
    });
    const error = await t.throwsAsync(send(target, notificationOf(failure), never));
    t.is(error?.message, `cannot hand a mail to 127.0.0.1 (${answer.slice(0, 3)})`);
    t.is(error instanceof RefusedError, isRefused, answer);
  }
});

test("what a place answers or how it is reached is told without the secret of its URL", async (t) => {
  const server = await serveHttp(t, 403);
  const url = `${server.url}/hook/s3cret?key=s3cret`;
  const target = NotificationTarget.parse({ kind: "webhook", url });
  const host = new URL(url).host;
  const refused = await t.throwsAsync(send(target, notificationOf(failure), never));
  t.is(refused?.message, `cannot tell ${host}: it answered 403`);
  await server.close();
  const gone = await t.throwsAsync(send(target, notificationOf(failure), never));
  t.is(gone?.message, `cannot reach ${host} (ECONNREFUSED)`);
});

test("a place that cannot be reached is told later, in order, also by the next agent", async (t) => {
  const host = new NotifierHost(t);
  host.record("rollout.failed", "before anybody was to be told");
  const target = NotificationTarget.parse({ kind: "ntfy", url: "http://127.0.0.1:1/topic" });
  const first = host.notifier();
  await first.retarget([target]);
  host.isUp = false;
  host.record("rollout.failed", "one");
  host.record("rollout.started", "not asked for");
  host.record("step.done", "nobody's business");
  host.record("rollout.rolled-back", "two");
  await host.clock.advance(60_000);
  t.deepEqual(host.sent, []);
  t.true(host.tries > 3);
  await first.close();
  host.isUp = true;
  const next = host.notifier();
  await next.retarget([target]);
  await host.clock.advance(1_000);
  t.deepEqual(host.sent, ["one", "two"]);
  host.record("revision.refused", "three");
  await host.clock.advance(1_000);
  await next.retarget([target]);
  await host.clock.advance(1_000);
  t.deepEqual(host.sent, ["one", "two", "three"]);
  await next.close();
});

test("what a place refuses for good holds nothing up, what it cannot take now does", async (t) => {
  const refusing = new NotifierHost(t);
  const target = NotificationTarget.parse({ kind: "ntfy", url: "http://127.0.0.1:1/topic" });
  for (const status of [400, 409, 422, 403, 429, 503]) {
    const server = await serveHttp(t, status);
    const url = NotificationTarget.parse({ kind: "ntfy", url: `${server.url}/topic` });
    const error = await t.throwsAsync(send(url, notificationOf(failure), never));
    t.is(error instanceof RefusedError, [400, 409, 422].includes(status), `${status}`);
  }
  const notifier = refusing.notifier();
  await notifier.retarget([target]);
  refusing.refuses = true;
  refusing.record("rollout.failed", "refused");
  await refusing.clock.advance(1_000);
  t.is(refusing.tries, 1);
  refusing.refuses = false;
  refusing.record("rollout.failed", "taken");
  await refusing.clock.advance(1_000);
  t.deepEqual(refusing.sent, ["taken"]);
  await notifier.close();
});

test("after a day it is no news any more", async (t) => {
  const host = new NotifierHost(t);
  const target = NotificationTarget.parse({ kind: "ntfy", url: "http://127.0.0.1:1/topic" });
  const notifier = host.notifier();
  await notifier.retarget([target]);
  host.isUp = false;
  host.record("rollout.failed", "old");
  await host.clock.advance(25 * 3_600_000);
  host.isUp = true;
  host.record("rollout.failed", "new");
  await host.clock.advance(1_000);
  t.deepEqual(host.sent, ["new"]);
  await notifier.close();
});

for (const [wrong, expected] of [
  [{ kind: "pager" }, /kind/],
  [{ kind: "webhook" }, /either url or urlFile/],
  [{ kind: "webhook", url: "file:///etc/passwd" }, /http or https/],
  [{ kind: "ntfy", url: "https://ntfy.sh/x", on: ["sometimes"] }, /on/],
  [{ kind: "slack", urlFile: "relative" }, /absolute path/],
  [{ kind: "smtp", server: "mail", from: "a\r\nBcc: b", to: ["c"] }, /one line/],
] as const) {
  test(`a target ${JSON.stringify(wrong)} is refused`, (t) => {
    const { error } = NotificationTarget.safeParse(wrong);
    t.regex(JSON.stringify(error?.issues), expected);
  });
}

class NotifierHost {
  readonly clock = new SimulatedClock();
  readonly sent: string[] = [];
  isUp = true;
  refuses = false;
  tries = 0;
  readonly #database = new DatabaseSync(":memory:");
  readonly #told = new Map<string, number>();
  readonly #events: EventLog;

  constructor(t: ExecutionContext) {
    for (const sql of stateMigrations) this.#database.exec(sql);
    this.#events = createEventLog(this.#database, () => this.clock.now());
    t.teardown(() => {
      this.#events.flush();
      this.#database.close();
    });
  }

  record(kind: string, message: string): void {
    this.#events.record({ kind, app: "shop", target: "shop", message, fields: { revision: sha } });
  }

  notifier(): Notifier {
    return new Notifier({
      events: this.#events,
      told: {
        read: (target) => this.#told.get(target),
        write: (target, id) => void this.#told.set(target, id),
      },
      clock: this.clock,
      random: () => 0,
      log: silent,
      host: () => "oslo-1",
      send: async (_, { message }) => {
        this.tries += 1;
        if (!this.isUp) throw new Error("down");
        if (this.refuses) throw new RefusedError("no");
        this.sent.push(message);
      },
    });
  }
}

function notificationOf(event: typeof failure) {
  return {
    occasion: "failed",
    title: "oslo-1: shop failed",
    message: event.message,
    host: "oslo-1",
    app: event.app,
    revision: sha,
    time: "2026-01-02T03:04:05.000Z",
  } as const;
}

function temporary(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), "bt-notify-"));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
