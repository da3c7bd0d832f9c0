import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import test from "ava";
import { startSession } from "../api/sample-control.ts";
import { startTestAgent } from "../api/test-agent.ts";
import { outcome, runBerth, startBerth } from "./run-berth.ts";

test("the exit code and both streams are the command's", async (t) => {
  const agent = await startTestAgent(t);
  const result = await runBerth([
    "exec",
    "--root",
    agent.root,
    "web",
    "sh",
    "-c",
    "echo out; echo err >&2; exit 7",
  ]);
  t.deepEqual(result, { code: 7, stdout: "out\n", stderr: "err\n" });
});

test("options after the name belong to the command", async (t) => {
  const agent = await startTestAgent(t);
  const { stdout } = await runBerth([
    "exec",
    "--root",
    agent.root,
    "web",
    "echo",
    "-i",
    "--json",
    "--root",
  ]);
  t.is(stdout, "-i --json --root\n");
});

test("a command that a signal ended gives 128 and its number", async (t) => {
  const agent = await startTestAgent(t);
  t.is(
    (await runBerth(["exec", "--root", agent.root, "web", "sh", "-c", "kill -KILL $$"])).code,
    137,
  );
});

test("a lost status is a failure, never 0", async (t) => {
  const agent = await startTestAgent(t, {
    exec: async (_name, spec) => ({
      ...startSession(spec),
      exit: Promise.resolve({ oomKilled: false, finishedAtMs: 0 }),
    }),
  });
  const { code, stderr } = await runBerth(["exec", "--root", agent.root, "web", "true"]);
  t.is(code, 1);
  t.regex(stderr, /its status was lost/);
});

test("user, directory and variables reach the agent", async (t) => {
  const agent = await startTestAgent(t, {
    exec: async (_name, { argv: _argv, ...spec }) =>
      startSession({ ...spec, argv: ["echo", JSON.stringify(spec)] }),
  });
  const args = [
    "exec",
    "-u",
    "33:33",
    "-w",
    "/srv",
    "-e",
    "A=1",
    "-e",
    "B=x=y",
    "--root",
    agent.root,
    "web",
    "id",
  ];
  const { stdout } = await runBerth(args);
  t.deepEqual(JSON.parse(stdout), {
    environment: { A: "1", B: "x=y" },
    tty: false,
    stdin: false,
    detach: false,
    user: "33:33",
    workingDir: "/srv",
  });
});

test("an error of the agent is told in its own words", async (t) => {
  const agent = await startTestAgent(t, {
    exec: async () => {
      throw new Error("cannot run nope in web because the image has no such file: check the path");
    },
  });
  const { code, stderr } = await runBerth(["exec", "--root", agent.root, "web", "nope"]);
  t.is(code, 1);
  t.is(
    stderr,
    "berth: cannot run nope in web because the image has no such file: check the path\n",
  );
});

test("ten megabytes go both ways intact", async (t) => {
  const agent = await startTestAgent(t);
  const bytes = randomBytes(10_000_000);
  const child = startBerth(["exec", "-i", "--root", agent.root, "web", "cat"]);
  Readable.from(chunksOf(bytes, 50_000)).pipe(child.stdin);
  const hash = createHash("sha256");
  for await (const chunk of child.stdout) hash.update(chunk);
  t.is(hash.digest("hex"), createHash("sha256").update(bytes).digest("hex"));
});

test("input waits for a command that does not read, and a signal still reaches it", async (t) => {
  const agent = await startTestAgent(t);
  const script = "trap 'echo caught; exit 9' USR1; echo ready; while :; do sleep 0.05; done";
  const child = startBerth(["exec", "-i", "--root", agent.root, "web", "sh", "-c", script]);
  child.stdin.on("error", () => undefined);
  let bytesTaken = 0;
  const feed = (): void => {
    while (bytesTaken < 50_000_000 && child.stdin.write(Buffer.alloc(65_536))) bytesTaken += 65_536;
  };
  child.stdin.on("drain", feed);
  const ended = outcome(child);
  await new Promise((resolve) => {
    child.stdout.once("data", resolve);
  });
  feed();
  await pause(500);
  t.true(bytesTaken < 2_000_000, `${bytesTaken} bytes were taken for a command that reads none`);
  child.kill("SIGUSR1");
  const { code, stdout } = await ended;
  t.is(code, 9);
  t.is(stdout, "ready\ncaught\n");
});

test("output waits for a reader that is slow", async (t) => {
  let session: ReturnType<typeof startSession> | undefined;
  let bytesMade = 0;
  const count = (bytes: number): void => {
    bytesMade += bytes;
  };
  const agent = await startTestAgent(t, {
    exec: async (_name, spec) => {
      session = startSession(spec);
      return {
        ...session,
        stdout: Readable.from(counted(session.stdout, count), { objectMode: false }),
      };
    },
  });
  const child = startBerth(["exec", "--root", agent.root, "web", "yes"]);
  for (let made = -1; made !== bytesMade || made === 0; ) {
    made = bytesMade;
    await pause(300);
  }
  const bytesBefore = bytesMade;
  await pause(300);
  t.is(bytesMade, bytesBefore);
  t.true(
    bytesMade > 0 && bytesMade < 5_000_000,
    `${bytesMade} bytes for a reader that reads nothing`,
  );
  child.stdout.destroy();
  await new Promise((resolve) => {
    child.once("exit", resolve);
  });
  // The session ends with its reader: `yes` would run for ever.
  t.truthy(await Promise.race([session?.exit, pause(3000)]));
});

test("the command ends with the client that asked for it", async (t) => {
  let session: ReturnType<typeof startSession> | undefined;
  const agent = await startTestAgent(t, {
    exec: async (_name, spec) => {
      session = startSession(spec);
      return session;
    },
  });
  const child = startBerth([
    "exec",
    "--root",
    agent.root,
    "web",
    "sh",
    "-c",
    "echo ready; exec sleep 60",
  ]);
  await new Promise((resolve) => {
    child.stdout.once("data", resolve);
  });
  child.kill("SIGKILL");
  const exit = await session?.exit;
  t.is(exit?.signal, 9);
});

test("SIGINT and SIGTERM sent to the client reach the command", async (t) => {
  const agent = await startTestAgent(t);
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    const child = startBerth([
      "exec",
      "--root",
      agent.root,
      "web",
      "sh",
      "-c",
      "echo ready; exec sleep 60",
    ]);
    child.stdout.once("data", () => child.kill(signal));
    t.is((await outcome(child)).code, code);
  }
});

test("a grandchild that keeps the pipes open does not hold the client", async (t) => {
  const agent = await startTestAgent(t);
  const { code, stdout } = await runBerth([
    "exec",
    "--root",
    agent.root,
    "web",
    "sh",
    "-c",
    "sleep 20 & echo done $!",
  ]);
  t.teardown(() => {
    process.kill(Number(stdout.split(" ")[1]));
  });
  t.is(code, 0);
  t.regex(stdout, /^done \d+\n$/);
});

test("-it without a terminal is refused with a way out", async (t) => {
  const agent = await startTestAgent(t);
  const { code, stderr } = await runBerth(["exec", "-it", "--root", agent.root, "web", "sh"]);
  t.is(code, 1);
  t.regex(stderr, /stdin is none: leave -t out/);
});

async function* counted(
  stream: NodeJS.ReadableStream,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  for await (const chunk of stream) {
    count(chunk.length);
    yield Buffer.from(chunk);
  }
}

function* chunksOf(bytes: Buffer, size: number): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += size)
    yield bytes.subarray(start, start + size);
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms);
  });
}
