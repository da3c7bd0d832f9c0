import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../builders/free-port.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();

serialKernelTest(
  "what is run by hand outlives commits, and a commit takes it over as it is",
  async (t) => {
    const port = await freePort();
    const args = ["-d", "--name", "web", "-p", `127.0.0.1:${port}:8080`, "-v", "data:/data"];
    const more = ["-e", "MODE=a$b", "-e", "DB_PASSWORD=hush", "-m", "64m", "--restart", "always"];
    t.is((await agent.ok("run", ...args, ...more, image)).trim(), "web");
    const before = await agent.container("web");
    const sha = await agent.commit({ "shop/compose.yaml": `services: {a: {image: "${image}"}}\n` });
    await agent.untilApp(
      "shop",
      ({ revision, verdict }) => revision === sha && verdict === "healthy",
    );
    t.is((await agent.container("web")).pid, before.pid);
    const hidden = await agent.berth("adopt", "web");
    t.notRegex(hidden.stdout + hidden.stderr, /hush/);
    t.regex(hidden.stderr, /DB_PASSWORD looks like a secret/);
    // Another one of its name is refused, and leaves it as it is.
    const other = `name: web\nservices: {web: {image: "${image}", container_name: web}}\n`;
    await agent.commit({ "web/compose.yaml": other });
    t.regex((await agent.berth("sync")).stderr + (await agent.ok("status")), /environment\.MODE/);
    t.is((await agent.container("web")).pid, before.pid);
    const file = await agent.ok("adopt", "--show-secrets", "web");
    const adopted = await agent.commit({ "web/compose.yaml": file });
    t.is((await agent.berth("sync")).code, 0);
    await agent.untilApp(
      "web",
      ({ revision, verdict }) => revision === adopted && verdict === "healthy",
    );
    t.like(await agent.container("web"), {
      pid: before.pid,
      startedAt: before.startedAt,
      id: before.id,
    });
    t.is((await agent.berth("plan")).code, 0);
    t.regex((await agent.berth("rm", "-f", "web")).stderr, /because git has it/);
  },
);

serialKernelTest(
  "a container that cannot start leaves nothing, and rm ends one that runs",
  async (t) => {
    const failed = await agent.berth("run", "-d", "--name", "bad", image, "--nothing");
    if (failed.code === 0) await agent.ok("rm", "-f", "bad");
    const missing = await agent.berth("run", "--name", "gone", "--entrypoint", "/none", image);
    t.is(missing.code, 127);
    t.regex(missing.stderr, /\/none/);
    await agent.ok("run", "-d", "--name", "job", image);
    t.regex((await agent.berth("rm", "job")).stderr, /stop it first/);
    await agent.ok("rm", "-f", "job");
    t.deepEqual(
      (await agent.ps()).filter(({ name }) => ["gone", "job"].includes(name)),
      [],
    );
  },
);

serialKernelTest(
  "one with a healthcheck, in a network of a commit's app, is taken over as it is",
  async (t) => {
    const files = { "base/compose.yaml": `services: {a: {image: "${image}"}}\n` };
    const sha = await agent.commit(files);
    await agent.untilApp("base", (app) => app.revision === sha && app.verdict === "healthy");
    const checked = "localhost/checked:e2e";
    const Healthcheck = { Test: ["CMD", "/bin/probe", "exit", "0"], Interval: 1_000_000_000 };
    await agent.load(checked, { Healthcheck });
    const network = ["--network", "base_default", "--network-alias", "other"];
    await agent.ok("run", "-d", "--name", "seen", ...network, "-e", "A=1", checked);
    const before = await agent.untilContainer("seen", ({ health }) => health === "healthy");
    t.deepEqual(Object.keys(before.ip), ["base_default"]);
    const file = await agent.ok("adopt", "seen");
    const adopted = await agent.commit({ "seen/compose.yaml": file });
    const synced = await agent.berth("sync");
    t.is(synced.code, 0, synced.stdout + (await agent.ok("status")));
    await agent.untilApp("seen", (app) => app.revision === adopted && app.verdict !== "pending");
    t.like(await agent.container("seen"), { id: before.id, pid: before.pid, ip: before.ip });
    t.is((await agent.container("seen")).health, "healthy");
    t.is((await agent.berth("plan")).code, 0);
  },
);

serialKernelTest(
  "what is run by hand comes back after a reboot, and is taken over then without another start",
  async (t) => {
    const args = ["-d", "--name", "booted", "--restart", "unless-stopped", "-v", "kept:/data"];
    await agent.ok("run", ...args, image);
    const { id, pid } = await agent.container("booted");
    const others = (await agent.ps()).flatMap((one) => (one.pid === null ? [] : [one.pid]));
    await agent.end("SIGKILL");
    // What a boot leaves: no process, and no run directory.
    for (const process of others) kill(process);
    await eventually(async () => others.every(isGone) || undefined, "their ends");
    rmSync(join(agent.dir, "run"), { recursive: true, force: true });
    await agent.start();
    const after = await agent.untilContainer("booted", ({ state }) => state === "running");
    t.is(after.id, id);
    t.not(after.pid, pid);
    const adopted = await agent.commit({
      "booted/compose.yaml": await agent.ok("adopt", "booted"),
    });
    const synced = await agent.berth("sync");
    t.is(synced.code, 0, synced.stdout + (await agent.ok("status")));
    await agent.untilApp("booted", (app) => app.revision === adopted && app.verdict !== "pending");
    t.like(await agent.container("booted"), { id, pid: after.pid });
  },
);

serialKernelTest(
  "an agent that is killed while a commit takes over leaves the container to the next one",
  async (t) => {
    const names = ["one", "two", "three", "four"];
    for (const name of names) await agent.ok("run", "-d", "--name", name, image);
    const before = new Map((await agent.ps()).map(({ name, id, pid }) => [name, { id, pid }]));
    for (const [index, name] of names.entries()) {
      const file = await agent.ok("adopt", name);
      const adopted = await agent.commit({ [`${name}/compose.yaml`]: file });
      const syncing = agent.berth("sync");
      await pause(index * 40);
      await agent.end("SIGKILL");
      await syncing;
      await agent.start();
      await agent.berth("sync");
      await agent.untilApp(name, (app) => app.revision === adopted && app.verdict === "healthy");
    }
    for (const { name, id, pid } of await agent.ps()) {
      if (names.includes(name)) t.deepEqual({ id, pid }, before.get(name), name);
    }
    t.is((await agent.berth("plan")).code, 0);
  },
);

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function isGone(pid: number): true | undefined {
  try {
    return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8")) ? true : undefined;
  } catch {
    return true;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

serialKernelTest("sync fails while a commit cannot take over what is run by hand", async (t) => {
  await agent.ok("run", "-d", "--name", "other", image);
  const before = await agent.container("other");
  await agent.commit({ "other/compose.yaml": `services: {other: {image: "${image}"}}` });
  const synced = await agent.berth("sync");
  t.is(synced.code, 1);
  t.regex(synced.stdout, /failed: other: cannot take over other, which was run by hand/);
  t.is((await agent.container("other")).id, before.id);
  await agent.ok("rm", "-f", "other");
  t.is((await agent.berth("sync")).code, 0);
  t.is((await agent.container("other-other-1")).state, "running");
});
