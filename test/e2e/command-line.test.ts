import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../builders/free-port.ts";
import { outcome } from "../cli/run-berth.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();
const name = "shop-web-1";
let port = 0;

serialKernelTest(
  "plan says what a commit would do, sync does it, and plan is empty again",
  async (t) => {
    port = await freePort();
    t.is((await agent.berth("plan")).code, 0);
    await agent.commit({
      "shop/compose.yaml": `
services:
  web:
    image: ${image}
    restart: always
    ports: ["127.0.0.1:${port}:8080"]
    stop_grace_period: 5s
`,
    });
    t.is((await agent.berth("sync")).code, 0);
    t.is((await agent.berth("plan")).code, 0);
    t.regex(await agent.ok("status"), /shop.*running/);
    t.regex(await agent.ok("ps"), new RegExp(`shop.*web.*running.*${port}`));
  },
);

serialKernelTest(
  "stop, start, restart and kill act on the process and are shown as done by hand",
  async (t) => {
    const first = await agent.container(name);
    await agent.ok("stop", name);
    t.like(await agent.container(name), { state: "exited", exitCode: 0, byHand: true });
    await agent.ok("start", "shop/web");
    const second = await agent.container(name);
    t.is(second.state, "running");
    t.not(second.pid, first.pid);
    await agent.ok("restart", name);
    const third = await agent.container(name);
    t.not(third.pid, second.pid);
    t.is(third.restarts, 0);
    await agent.ok("kill", "-s", "KILL", name);
    t.like(await agent.untilContainer(name, ({ state }) => state === "exited"), { exitCode: 137 });
    await sleep(500);
    t.is((await agent.container(name)).state, "exited");
    t.regex(
      (await agent.berth("exec", name, "/bin/probe", "env")).stderr,
      /is exited.*berth start/,
    );
    await agent.ok("start", name);
    t.regex(await agent.ok("events"), /kill of shop-web-1 by hand/);
  },
);

serialKernelTest(
  "exec passes input, output, environment, directory, user and exit code",
  async (t) => {
    const run = async (...args: string[]) => agent.berth("exec", ...args);
    t.is((await run(name, "/bin/probe", "exit", "7")).code, 7);
    t.regex((await run("-e", "A=b c", name, "/bin/probe", "env")).stdout, /^A=b c$/m);
    t.regex((await run("-u", "1000:2000", name, "/bin/probe", "ids")).stdout, /1000/);
    t.is((await run("-w", "/etc", name, "/bin/probe", "cat", "passwd")).code, 0);
    const child = agent.begin("exec", "-i", name, "/bin/probe", "echo");
    child.stdin.end("from afar\n");
    t.like(await outcome(child), { code: 0, stdout: "from afar\n" });
    const missing = await run(name, "/bin/nothing");
    t.is(missing.code, 127);
    t.regex(missing.stderr, /\/bin\/nothing/);
    t.is((await run(name, "nothing")).code, 127);
    t.like(await run(name, "/etc/passwd"), { code: 126 });
  },
);

serialKernelTest("logs are told from the end on, since a time, and followed", async (t) => {
  const say = (text: string) => fetch(`http://127.0.0.1:${port}/log?text=${text}`);
  await say("one");
  await say("two");
  await eventually(
    async () => ((await agent.ok("logs", name)).includes("two\n") ? true : undefined),
    "the lines",
  );
  t.regex(await agent.ok("logs", "-n", "1", name), /^[^\n]*\n$/);
  const since = new Date().toISOString();
  const child = agent.begin("logs", "-f", "--since", since, name);
  let seen = "";
  child.stdout.on("data", (chunk: Buffer) => (seen += chunk.toString()));
  await eventually(async () => {
    await say("three");
    return /^three$/m.test(seen) ? true : undefined;
  }, "a followed line");
  child.kill("SIGINT");
  t.notRegex(seen, /^one$/m);
  await outcome(child);
  t.is(child.signalCode, "SIGINT");
});

serialKernelTest(
  "inspect tells of a container, its network and image; a name that is nothing is 404",
  async (t) => {
    const container = JSON.parse(await agent.ok("inspect", name));
    t.like(container, { kind: "container", name, state: "running" });
    t.is(container.why.reason[0].field, "container");
    t.like(JSON.parse(await agent.ok("inspect", "shop_default")), { kind: "network" });
    t.like(JSON.parse(await agent.ok("inspect", image)), { kind: "image" });
    t.regex(
      (await agent.berth("history", "nothing")).stderr,
      /^berth: cannot find a history of nothing: neither an app \(.*shop\) nor an image here has that name\n$/,
    );
    const nothing = await agent.berth("inspect", "nothing");
    t.is(nothing.code, 1);
    t.regex(nothing.stderr, /^berth: cannot find nothing: /);
    const error = await t.throwsAsync(agent.inspect("nothing"));
    t.is(JSON.parse(error.message).kind, "not-found");
  },
);

serialKernelTest("stats and events tell and follow", async (t) => {
  const [samples] = JSON.parse(`[${await agent.ok("stats", "--no-stream", "--json")}]`);
  t.like(samples[0], { name });
  t.true(samples[0].memoryBytes > 0);
  const child = agent.begin("events", "-f", "--json");
  let seen = "";
  child.stdout.on("data", (chunk: Buffer) => (seen += chunk.toString()));
  await eventually(() => (seen.includes("container.started") ? true : undefined), "old events");
  seen = "";
  await agent.ok("restart", name);
  await eventually(() => (seen.includes("restart-by-hand") ? true : undefined), "a new event");
  child.kill("SIGINT");
  await outcome(child);
  t.pass();
});

serialKernelTest("images are loaded under a name, listed and seen to be in use", async (t) => {
  await agent.load("localhost/other:1", { Cmd: ["--name", "other"] });
  const images = JSON.parse(await agent.ok("images", "--json"));
  const find = (reference: string) =>
    images.find(({ references }: { references: string[] }) => references.includes(reference));
  t.is(find(image).inUse, true);
  t.is(find("localhost/other:1").inUse, false);
});

serialKernelTest(
  "down leaves nothing in the kernel and ends the agent, and the next one starts from git",
  async (t) => {
    await agent.ok("down", "--volumes");
    t.false(existsSync(join(agent.dir, "run/agent.pid")), "its files are closed by then");
    await agent.end("SIGTERM");
    await t.throwsAsync(agent.get("/healthz"));
    await agent.start();
    await agent.load(image, {});
    t.is((await agent.berth("sync")).code, 0);
    t.is((await agent.container(name)).state, "running");
  },
);
