import test from "ava";
import { from, sampleImage, samplePs, sampleStatus, sha } from "../api/sample-control.ts";
import { startTestAgent } from "../api/test-agent.ts";
import { outcome, runBerth, startBerth } from "./run-berth.ts";

test("ps prints aligned columns for people", async (t) => {
  const agent = await startTestAgent(t);
  const { code, stdout, stderr } = await runBerth(["--root", agent.root, "ps", "-a"]);
  t.is(code, 0);
  t.is(stderr, "");
  const [heading = "", first = "", second = ""] = stdout.split("\n");
  t.regex(heading, /^NAME +APP +SERVICE +ID +IMAGE +STATE +HEALTH +RESTARTS +PORTS +STARTED$/);
  t.is(first.indexOf("shop "), heading.indexOf("APP"));
  t.is(first.indexOf("0.0.0.0:8080->80/tcp"), heading.indexOf("PORTS"));
  t.regex(second, /^shop-web-2 .* exited \(3\) /);
  const ids = await runBerth(["--root", agent.root, "ps", "-aq"]);
  t.is(ids.stdout, `${samplePs.id.slice(0, 12)}\n`.repeat(2));
});

test("global options stand before or after the verb", async (t) => {
  const agent = await startTestAgent(t);
  const before = await runBerth(["--root", agent.root, "--json", "ps"]);
  const after = await runBerth(["ps", "--json", "--root", agent.root]);
  t.deepEqual(JSON.parse(before.stdout), [samplePs]);
  t.is(after.stdout, before.stdout);
});

test("status shows the facts, the apps and the errors of the newest commit", async (t) => {
  const agent = await startTestAgent(t, {
    status: async () => ({
      ...sampleStatus,
      errors: ["compose.yaml:3:5: unknown key \u001b[31mimagee"],
      suspended: [
        { app: "shop", since: "2026-01-31T12:00:00.000Z" },
        { app: null, since: null },
      ],
    }),
  });
  const { code, stdout } = await runBerth(["status", "--root", agent.root]);
  t.is(code, 0);
  t.regex(stdout, /^wanted +1a2b3c4d1a2b$/m);
  t.regex(stdout, /^error +compose.yaml:3:5: unknown key imagee$/m);
  t.regex(stdout, /^suspended +shop since 2026-01-31T12:00:00.000Z$/m);
  t.regex(stdout, /^suspended +every app$/m);
  t.regex(stdout, /^shop +running +healthy +1a2b3c4d1a2b +web 2\/2$/m);
  t.deepEqual(
    JSON.parse((await runBerth(["status", "--json", "--root", agent.root])).stdout).wanted,
    sha,
  );
});

test("plan ends with 0 when there is nothing to do and with 3 when there is", async (t) => {
  const idle = await startTestAgent(t);
  t.is((await runBerth(["plan", "--root", idle.root])).code, 0);
  const steps = [
    {
      kind: "start-container",
      target: "shop-web-1",
      reason: [{ field: "image", from: null, to: "web:2" }],
    },
  ];
  const heldBack = [{ app: "blog", runs: "0".repeat(40), reason: "blog-web-1 is unhealthy" }];
  const plan = { revision: sha, steps, heldBack };
  const busy = await startTestAgent(t, { plan: async () => plan });
  const { code, stdout } = await runBerth(["plan", "--root", busy.root]);
  t.is(code, 3);
  t.regex(stdout, /1\. start-container shop-web-1\n +image: \(none\) -> web:2/);
  t.regex(stdout, /^blog stays at 000000000000, because 1a2b3c4d1a2b is held back: blog-web-1 is/);
  const asJson = await runBerth(["plan", "--json", "--root", busy.root]);
  t.is(asJson.code, 3);
  t.deepEqual(JSON.parse(asJson.stdout), plan);
  const held = await startTestAgent(t, { plan: async () => ({ ...plan, steps: [] }) });
  const waiting = await runBerth(["plan", "--root", held.root]);
  t.is(waiting.code, 0);
  t.regex(waiting.stdout, /is held back: .*\nNothing to do\.\n$/);
});

test("sync ends with 0 on a healthy verdict and with 1 on any other", async (t) => {
  const healthy = await startTestAgent(t);
  t.is((await runBerth(["sync", "--root", healthy.root])).code, 0);
  const failing = await startTestAgent(t, {
    sync: async () => ({
      revision: sha,
      verdict: "failed",
      reason: "web exited with 1",
      leftAlone: ["shop-db-1"],
    }),
  });
  const { code, stdout } = await runBerth(["sync", "--root", failing.root]);
  t.is(code, 1);
  t.regex(stdout, /failed: web exited with 1\nleft alone, as it was changed by hand: shop-db-1/);
});

test("a sync that has no verdict within --timeout fails with advice", async (t) => {
  const agent = await startTestAgent(t, {
    sync: (abort) =>
      new Promise((_resolve, reject) => {
        abort.addEventListener("abort", () => reject(abort.reason));
      }),
  });
  const { code, stderr } = await runBerth(["sync", "--timeout", "50ms", "--root", agent.root]);
  t.is(code, 1);
  t.regex(stderr, /^berth: .*no verdict within 0.05 s: 'berth status' shows/);
});

test("verbs by hand act on every name, and one failure does not keep the others from it", async (t) => {
  const agent = await startTestAgent(t);
  t.is((await runBerth(["stop", "-t", "5", "a", "b", "--root", agent.root])).code, 0);
  t.is((await runBerth(["kill", "-s", "SIGHUP", "a", "--root", agent.root])).stdout, "a\n");
  t.deepEqual(agent.calls, ['stop a {"graceMs":5000}', 'stop b {"graceMs":5000}', "kill a SIGHUP"]);
  const failing = await startTestAgent(t, {
    start: async (name) => {
      if (name === "a")
        throw Object.assign(
          new Error("cannot start a because there is no such container: b exists"),
          { kind: "not-found" },
        );
    },
  });
  const { code, stdout, stderr } = await runBerth(["start", "a", "b", "--root", failing.root]);
  t.is(code, 1);
  t.is(stdout, "b\n");
  t.is(stderr, "berth: cannot start a because there is no such container: b exists\n");
});

test("logs keep the two streams apart, byte for byte when piped", async (t) => {
  const agent = await startTestAgent(t, {
    logs: async (_name, { tail, sinceMs, follow }) =>
      from([
        { stream: "stdout" as const, time: "T1", text: "\u001b[31mred\u001b[0m\n" },
        { stream: "stderr" as const, time: "T2", text: JSON.stringify({ tail, sinceMs, follow }) },
      ]),
  });
  const time = "2026-01-31T12:00:00Z";
  const { code, stdout, stderr } = await runBerth([
    "logs",
    "--tail",
    "7",
    "--since",
    time,
    "web",
    "--root",
    agent.root,
  ]);
  t.is(code, 0);
  t.is(stdout, "\u001b[31mred\u001b[0m\n");
  t.deepEqual(JSON.parse(stderr), { tail: 7, sinceMs: Date.parse(time), follow: false });
  const asJson = await runBerth(["logs", "--json", "web", "--root", agent.root]);
  t.deepEqual(
    asJson.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).time),
    ["T1", "T2"],
  );
});

test("following logs ends quietly when the reader of the pipe goes", async (t) => {
  const agent = await startTestAgent(t, {
    logs: async () =>
      (async function* () {
        for (;;) yield { stream: "stdout" as const, time: "T", text: `${"x".repeat(1000)}\n` };
      })(),
  });
  const child = startBerth(["logs", "-f", "web", "--root", agent.root]);
  child.stdout.once("data", () => child.stdout.destroy());
  const ended = new Promise((resolve) => {
    child.once("exit", resolve);
  });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  t.is(await ended, 141);
  t.is(said, "");
});

test("stats --no-stream prints one sample and ends", async (t) => {
  const sample = {
    id: "ab",
    name: "shop-web-1",
    cpuPercent: 12.34,
    memoryBytes: 1_572_864,
    memoryBytesMax: null,
    pids: 3,
    networkReceiveBytes: 10,
    networkTransmitBytes: 2048,
    blockReadBytes: 0,
    blockWriteBytes: 0,
  };
  const asked: unknown[] = [];
  const agent = await startTestAgent(t, {
    stats: async function* ({ abort, names }) {
      asked.push(names);
      while (!abort.aborted) yield [sample];
    },
  });
  const { code, stdout } = await runBerth(["stats", "--no-stream", "--root", agent.root]);
  t.is(code, 0);
  t.regex(stdout, /^shop-web-1 +12\.3 +1\.5 MiB +- +3 +10 B +2\.0 KiB +0 B +0 B$/m);
  const asJson = await runBerth(["stats", "--no-stream", "--json", "--root", agent.root]);
  t.deepEqual(JSON.parse(asJson.stdout), [sample]);
  t.is((await runBerth(["stats", "--root", agent.root, "--no-stream", "shop/web", "db"])).code, 0);
  t.deepEqual(asked, [undefined, undefined, ["shop/web", "db"]]);
});

test("events are one line each", async (t) => {
  const event = {
    id: 1,
    time: "2026-01-31T12:00:00.000Z",
    kind: "step.done",
    app: "shop",
    target: "shop-web-1",
    message: "started",
    fields: {},
  };
  const agent = await startTestAgent(t, { events: () => from([event]) });
  const { stdout } = await runBerth(["events", "--root", agent.root]);
  t.is(stdout, "2026-01-31T12:00:00.000Z  step.done             shop-web-1  started\n");
  t.deepEqual(
    JSON.parse((await runBerth(["events", "--json", "--root", agent.root])).stdout),
    event,
  );
});

test("images, pull, load and inspect print what the agent says", async (t) => {
  const agent = await startTestAgent(t);
  const images = await runBerth(["images", "--root", agent.root]);
  t.regex(images.stdout, /^docker.io\/library\/web:1 +cdcdcdcdcdcd +1\.5 MiB +\d+d ago +yes$/m);
  const pulled = await runBerth(["pull", "web:2", "--json", "--root", agent.root]);
  t.deepEqual(JSON.parse(pulled.stdout), { ...sampleImage, references: ["web:2"] });
  const loaded = await runBerth(["load", "some/web.tar", "--root", agent.root]);
  t.is(loaded.stdout, `docker.io/library/web:1 ${sampleImage.digest}\n`);
  t.deepEqual(agent.calls, [`load ${process.cwd()}/some/web.tar`]);
  const inspected = await runBerth(["inspect", "shop/web", "--root", agent.root]);
  t.deepEqual(JSON.parse(inspected.stdout), { name: "shop/web", kind: "container" });
});

test("login takes the password from a pipe, and asks nobody where there is no terminal", async (t) => {
  const passwords: string[] = [];
  const agent = await startTestAgent(t, {
    logIn: async (registry, { password }) => {
      passwords.push(password);
      return { registry };
    },
  });
  const login = ["login", "registry.example:5000", "--root", agent.root];
  const done = await runBerth([...login, "-u", "robot", "--password-stdin"], " s3cret \n");
  t.is(done.stdout, "logged in to registry.example:5000 as robot\n");
  t.deepEqual(passwords, [" s3cret "]);
  const noTerminal = await runBerth([...login, "-u", "robot"]);
  t.is(noTerminal.code, 1);
  t.regex(noTerminal.stderr, /standard input is no terminal: give -u NAME and --password-stdin/);
  t.is((await runBerth([...login, "--password-stdin"], "x")).code, 2);
  const out = await runBerth(["logout", "--root", agent.root]);
  t.is(out.stdout, "logged out of docker.io\n");
});

test("push, copy, tags and delete name what is in the registry afterwards", async (t) => {
  const agent = await startTestAgent(t);
  const berth = (...args: string[]) => runBerth([...args, "--root", agent.root]);
  const { digest } = sampleImage;
  const pushed = await berth("push", "web:1", "registry.example/web:1");
  t.is(pushed.stdout, `registry.example/web:1 ${digest}\n`);
  t.is((await berth("push", "registry.example/web:1")).stdout, pushed.stdout);
  const copied = await berth("copy", "--all", "--json", "a.example/x:1", "b.example/x:1");
  t.deepEqual(JSON.parse(copied.stdout), { reference: "b.example/x:1", digest });
  t.is((await berth("tags", "registry.example/web")).stdout, "1\n2\n");
  const gone = await berth("delete", `registry.example/web@${digest}`);
  t.is(gone.stdout, `deleted registry.example/web@${digest}\n`);
  t.deepEqual(agent.calls, [
    "push web:1 registry.example/web:1",
    "push registry.example/web:1 registry.example/web:1",
    'copy a.example/x:1 b.example/x:1 {"all":true}',
    `delete registry.example/web@${digest}`,
  ]);
});

test("a pull that fails tells the agent's reason", async (t) => {
  const agent = await startTestAgent(t, {
    pull: async () => {
      throw new Error("cannot pull web:9 because the registry has no such tag: check the name");
    },
  });
  const { code, stderr, stdout } = await runBerth(["pull", "web:9", "--root", agent.root]);
  t.is(code, 1);
  t.is(stdout, "");
  t.is(stderr, "berth: cannot pull web:9 because the registry has no such tag: check the name\n");
});

test("down through the agent passes --volumes on", async (t) => {
  const agent = await startTestAgent(t);
  const { code } = await runBerth(["down", "--volumes", "--root", agent.root]);
  t.is(code, 0);
  t.deepEqual(agent.calls, ['down {"volumes":true}']);
});

test("without an agent the error says how to start it", async (t) => {
  const { code, stderr, stdout } = await runBerth(["ps", "--root", "/nonexistent/berth"]);
  t.is(code, 1);
  t.is(stdout, "");
  t.regex(
    stderr,
    /^berth: cannot reach the agent because none answers on \/nonexistent\/berth\/run\/agent.sock: start it with .*berth agent --root \/nonexistent\/berth --repo URL_OR_PATH'\n$/,
  );
});

for (const { args, says } of [
  { args: ["frobnicate"], says: /unknown command 'frobnicate'/ },
  { args: ["frobnicate", "--help"], says: /unknown command 'frobnicate'/ },
  { args: ["help", "frobnicate"], says: /unknown command 'frobnicate'/ },
  { args: ["ps", "--frob"], says: /unknown option '--frob'/ },
  {
    args: ["volume", "create", "data"],
    says: /^berth: 'create' is nothing that 'berth volume' does: ls, inspect, rm are expected$/m,
  },
  { args: ["logs"], says: /missing required argument 'name'/ },
  { args: ["logs", "--since", "yesterday", "web"], says: /a duration such as 10m/ },
  { args: ["logs", "--tail", "-3", "web"], says: /a number of lines/ },
  { args: ["sync", "--timeout", "soon"], says: /a duration such as 30s/ },
  { args: ["ps", "--instance", "../x"], says: /cannot use the instance name/ },
  { args: ["agent"], says: /no repository is named/ },
]) {
  test(`berth ${args.join(" ")} is a usage error`, async (t) => {
    const { code, stderr, stdout } = await runBerth(args);
    t.is(code, 2);
    t.is(stdout, "");
    t.regex(stderr, says);
    t.is(stderr.trim().split("\n").length, 1);
  });
}

const verbs =
  "agent validate config plan sync status ps inspect logs exec stop start restart kill stats events images pull load doctor down version";
for (const verb of verbs.split(" ")) {
  test(`berth ${verb} --help has an example`, async (t) => {
    const { code, stdout } = await runBerth([verb, "--help"]);
    t.is(code, 0);
    t.regex(stdout, new RegExp(`Example:\n  berth ${verb}\\b`));
    t.regex(stdout, /--root <dir>/);
  });
}

test("a verb asked for nothing shows the help on stderr", async (t) => {
  const { code, stderr } = await outcome(startBerth([]));
  t.is(code, 2);
  t.regex(stderr, /^Usage: berth/);
});

test("version needs no agent", async (t) => {
  const { code, stdout } = await runBerth(["version", "--json"]);
  t.is(code, 0);
  t.regex(JSON.parse(stdout).version, /^\d+\.\d+\.\d+/);
});
