import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openTerminal } from "../cli/open-terminal.ts";
import { outcome } from "../cli/run-berth.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image, type TestAgent } from "./test-agent.ts";

const agent = sharedAgent();
const berth = fileURLToPath(new URL("../../bin/berth", import.meta.url));
const probe = ["--entrypoint", "/bin/probe", image];

/** As a line for a shell. */
function runLine(...args: readonly string[]): string {
  return [berth, "run", ...agent.globalOptions(), ...args].join(" ");
}

/** Names of what is there: containers, networks and volumes. */
async function present({ ok }: Pick<TestAgent, "ok">): Promise<readonly string[]> {
  const read = async (...verb: readonly [string, ...string[]]) =>
    (JSON.parse(await ok(...verb, "--json")) as { name: string }[]).map(({ name }) => name);
  const all = [read("ps", "-a"), read("network", "ls"), read("volume", "ls")];
  return (await Promise.all(all)).flat();
}

/** Pids of the launcher and of every supervisor. */
function supervisors(): readonly string[] {
  const roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids"];
  const files = roots.map((root) => `${root}/${agent.instance}/supervisors/cgroup.procs`);
  const file = files.find((path) => existsSync(path));
  return file === undefined ? [] : readFileSync(file, "utf8").trim().split("\n");
}

const presentNow = () => present({ ok: (verb, ...args) => agent.ok(verb, ...args) });

serialKernelTest(
  "all that a container writes comes through, byte for byte, and its exit code",
  async (t) => {
    const before = await presentNow();
    const flood = await agent.berth("run", "--rm", ...probe, "flood", "3000000");
    t.is(flood.stdout.length, 3_000_000);
    t.is((await agent.berth("run", "--rm", ...probe, "exit", "7")).code, 7);
    t.is((await agent.berth("run", "--rm", "--init", ...probe, "raise", "9")).code, 137);
    const missing = await agent.berth("run", "--rm", "--entrypoint", "/none", image);
    t.is(missing.code, 127);
    t.regex(missing.stderr, /\/none/);
    t.deepEqual(await presentNow(), before);
  },
);

serialKernelTest(
  "input is passed on to its end, binary too, and what it leaves is removed",
  async (t) => {
    const before = await presentNow();
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 256));
    const child = agent.begin("run", "-i", "--rm", "-v", "/scratch", ...probe, "echo");
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stdin.end(bytes);
    t.is((await outcome(child)).code, 0);
    t.true(Buffer.concat(chunks).equals(bytes));
    t.deepEqual(await presentNow(), before);
  },
);

serialKernelTest(
  "a slow reader loses nothing, also of what was written before the end",
  async (t) => {
    const line = `${runLine("--rm", ...probe, "flood", "2000000")} | (sleep 4; wc -c)`;
    const terminal = openTerminal(t, line);
    await terminal.shows(/2000000/);
    t.is(await terminal.code, 0);
  },
);

serialKernelTest("a terminal is the container's own: size, keys and exit code", async (t) => {
  const before = await presentNow();
  const line = `stty rows 31 cols 92; ${runLine("-it", "--rm", "--name", "shell", ...probe, "tty")}`;
  const seen = openTerminal(t, line);
  await seen.shows(/window 31 rows 92 columns/);
  seen.type("quit\r");
  t.is(await seen.code, 0);
  const keys = openTerminal(
    t,
    `${runLine("-it", "--rm", "--name", "keys", ...probe, "echo")}; echo code $?; stty -a`,
  );
  await agent.untilContainer("keys", ({ state }) => state === "running");
  keys.type("hello\r");
  await keys.shows(/hello\r\nhello/);
  keys.type("\u0004");
  await keys.shows(/code 0/);
  t.regex(await keys.shows(/ echo /), /\bisig icanon /);
  t.deepEqual(await presentNow(), before);
});

serialKernelTest(
  "Ctrl-C reaches the container, with a terminal of its own and without",
  async (t) => {
    for (const flags of [["--rm"], ["--rm", "-it"]]) {
      const name = `stopped${flags.length}`;
      const line = runLine(...flags, "--init", "--name", name, ...probe, "sleep", "600000");
      const terminal = openTerminal(t, `trap : INT; ${line}; echo code $?`);
      await agent.untilContainer(name, ({ state }) => state === "running");
      terminal.type("\u0003");
      await terminal.shows(/code 130/);
      t.false((await presentNow()).includes(name));
    }
  },
);

serialKernelTest(
  "one that obeys no signal is left at the third Ctrl-C, and is told to go on",
  async (t) => {
    const line = runLine("--rm", "--name", "deaf", ...probe, "sleep", "600000");
    const terminal = openTerminal(t, `trap : INT; ${line}; echo code $?`);
    await agent.untilContainer("deaf", ({ state }) => state === "running");
    for (let times = 0; times < 3; times += 1) {
      terminal.type("\u0003");
      await terminal.shows(new RegExp(`(?:\\^C[\\s\\S]*){${times + 1}}`));
    }
    await terminal.shows(/left deaf, which goes on: 'berth kill deaf' ends it[\s\S]*code 1/);
    t.is((await agent.container("deaf")).state, "running");
    await agent.ok("kill", "deaf");
    await eventually(
      async () => !(await presentNow()).includes("deaf") || undefined,
      "deaf to be removed",
    );
  },
);

serialKernelTest(
  "the detach keys leave it running, and its end removes it all the same",
  async (t) => {
    const line = runLine("-it", "--rm", "--name", "left", ...probe, "echo");
    const terminal = openTerminal(t, `trap : INT; ${line}; echo code $?`);
    await agent.untilContainer("left", ({ state }) => state === "running");
    terminal.type("\u0010\u0011");
    await terminal.shows(/code 0/);
    t.is((await agent.container("left")).state, "running");
    await agent.ok("stop", "-t", "0", "left");
    await eventually(
      async () => !(await presentNow()).includes("left") || undefined,
      "left to be removed",
    );
  },
);

serialKernelTest(
  "who is killed in front of it ends its input, and an agent that was killed removes it",
  async (t) => {
    const first = agent.begin("run", "-i", "--rm", "--name", "orphan", ...probe, "echo");
    await agent.untilContainer("orphan", ({ state }) => state === "running");
    first.kill("SIGKILL");
    await eventually(
      async () => !(await presentNow()).includes("orphan") || undefined,
      "orphan to be removed",
    );
    await agent.ok("run", "-d", "--rm", "--name", "later", ...probe, "sleep", "600000");
    const { pid } = await agent.container("later");
    await agent.end("SIGKILL");
    if (pid !== null) process.kill(pid, "SIGKILL");
    await agent.start();
    await eventually(
      async () => !(await presentNow()).includes("later") || undefined,
      "later to be removed",
    );
    t.pass();
  },
);

serialKernelTest(
  "an agent that is killed at any moment of a run leaves nothing of it, and no process that is held",
  async (t) => {
    for (const delayMs of [250, 400, 500, 550, 600, 650, 700, 800]) {
      // Its standard input never ends by itself.
      const ended = outcome(agent.begin("run", "-i", "--rm", "--name", "cut", ...probe, "echo"));
      await new Promise((resolve) => {
        setTimeout(resolve, delayMs);
      });
      await agent.end("SIGKILL");
      await ended;
      await agent.start();
      await eventually(
        async () => !(await presentNow()).some((name) => name.startsWith("cut")) || undefined,
        "cut to be gone",
      );
      const helpers = async () => (supervisors().length === 1 ? true : undefined);
      await eventually(helpers, `no supervisor after ${delayMs} ms`);
    }
    t.pass();
  },
);

serialKernelTest("variables of files, devices and limits are as they were asked for", async (t) => {
  const file = join(agent.dir, "variables");
  writeFileSync(file, "# comment\nONE=1=1\nTWO='2'\nHOME_OF_MINE\n\n");
  const env = await agent.ok("run", "--rm", "--env-file", file, "-e", "TWO=own", ...probe, "env");
  t.regex(env, /^ONE=1=1$/m);
  t.regex(env, /^TWO=own$/m);
  t.notRegex(env, /HOME_OF_MINE/);
  const device = ["--device", "/dev/full:/dev/mine"];
  t.regex(await agent.ok("run", "--rm", ...device, ...probe, "stat", "/dev/mine"), /char/);
  mkdirSync(join(agent.dir, "data"));
  writeFileSync(join(agent.dir, "data", "word"), "moored");
  const mount = ["--mount", `type=bind,source=${join(agent.dir, "data")},target=/data,readonly`];
  t.is(await agent.ok("run", "--rm", ...mount, ...probe, "cat", "/data/word"), "moored");
  const names = ["-h", "boat", "--add-host", "pier:192.0.2.7"];
  t.regex(
    await agent.ok("run", "--rm", ...names, ...probe, "cat", "/etc/hosts"),
    /192\.0\.2\.7\s+pier/,
  );
  const limits = ["--ulimit", "nofile=100:200", ...probe, "cat", "/proc/self/limits"];
  t.regex(await agent.ok("run", "--rm", ...limits), /open files\s+100\s+200/);
  const both = await agent.berth("run", "--rm", "--restart", "always", image);
  t.regex(both.stderr, /because its restart policy starts it again/);
  const bad = await agent.berth("run", "--rm", "--env-file", join(agent.dir, "none"), image);
  t.regex(bad.stderr, /cannot read the variables/);
});
