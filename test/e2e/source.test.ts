import { renameSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { serveRepository } from "./git-server.ts";
import { sharedAgent } from "./shared-agent.ts";
import { bareRepository, image } from "./test-agent.ts";

const agent = sharedAgent();
const manifest = (greeting: string) =>
  `services: { web: { image: "${image}", restart: always, environment: { GREETING: "${greeting}" } } }\n`;
const bareDir = join(agent.dir, "bare.git");

serialKernelTest(
  "the config file is read again when it changes: another repository, and a push to it",
  async (t) => {
    await agent.deploy("shop", manifest("one"));
    const { pid } = await agent.container("shop-web-1");
    await bareRepository(bareDir, agent.fleet);
    agent.configure({ repo: bareDir });
    await agent.untilStatus(({ source }) => source.url === bareDir, "the other repository");
    t.is((await agent.container("shop-web-1")).pid, pid);
    const unseen = await agent.commit({ "shop/compose.yaml": manifest("two") });
    await sleep(500);
    t.not((await agent.status()).wanted, unseen);
    await agent.fleet.git("push", "--quiet", bareDir, "main");
    await agent.untilApp(
      "shop",
      ({ revision, verdict }) => revision === unseen && verdict === "healthy",
    );
    t.regex(await environmentOf("shop-web-1"), /GREETING=two/);
  },
);

serialKernelTest("another branch is followed as soon as the config file names it", async (t) => {
  await agent.fleet.git("checkout", "--quiet", "-b", "next");
  const sha = await agent.commit({ "shop/compose.yaml": manifest("next") });
  await agent.fleet.git("push", "--quiet", bareDir, "next");
  agent.configure({ ref: "next" });
  const { source } = await agent.untilStatus(({ wanted }) => wanted === sha, "the branch's commit");
  t.is(source.ref, "next");
  await agent.untilApp(
    "shop",
    ({ revision, verdict }) => revision === sha && verdict === "healthy",
  );
});

serialKernelTest("a config file with a mistake is told and changes nothing", async (t) => {
  const before = await agent.status();
  agent.configure({ interval: "sometimes", intervall: "1s" });
  await eventually(
    () => (/config file .*intervall/.test(agent.log) ? true : undefined),
    "the mistake in the log",
  );
  t.is((await agent.status()).wanted, before.wanted);
  agent.configure({ interval: "1h", intervall: undefined });
  t.is((await agent.get("/healthz")).status, 200);
});

serialKernelTest(
  "a source that is gone is told since when, containers go on, and it recovers by itself",
  async (t) => {
    const { pid } = await agent.container("shop-web-1");
    const { wanted } = await agent.status();
    const before = Date.now();
    renameSync(bareDir, `${bareDir}.away`);
    agent.configure({ interval: "1s" });
    const { source, ...rest } = await agent.untilStatus(
      (status) => status.source.unreachableSince !== null,
      "an unreachable source",
    );
    t.true(Math.abs(Date.parse(source.unreachableSince ?? "") - before) < 5_000);
    t.regex(source.error ?? "", /^cannot fetch next from .*bare\.git because /);
    t.true(Date.parse(source.fetchedAt ?? "") <= Date.parse(source.unreachableSince ?? ""));
    t.is(rest.wanted, wanted);
    t.is((await agent.container("shop-web-1")).pid, pid);
    t.regex(await agent.ok("status"), /unreachable|cannot fetch/);
    t.is((await agent.berth("sync")).code, 1);
    const told = source.unreachableSince;
    t.is((await agent.status()).source.unreachableSince, told);
    renameSync(`${bareDir}.away`, bareDir);
    const after = await agent.untilStatus((status) => status.source.error === null, "recovery");
    t.is(after.source.unreachableSince, null);
    t.is((await agent.container("shop-web-1")).pid, pid);
  },
);

serialKernelTest("an agent that starts without its source goes on with what it held", async (t) => {
  const { pid } = await agent.container("shop-web-1");
  renameSync(bareDir, `${bareDir}.away`);
  await agent.end("SIGTERM");
  await agent.start();
  const status = await agent.untilStatus(({ source }) => source.error !== null, "the error");
  t.truthy(status.source.unreachableSince);
  const entry = await agent.container("shop-web-1");
  t.is(entry.pid, pid);
  process.kill(pid ?? 0, "SIGKILL");
  await agent.untilContainer("shop-web-1", (next) => next.state === "running" && next.pid !== pid);
  renameSync(`${bareDir}.away`, bareDir);
});

serialKernelTest(
  "a repository over HTTP is polled by a cron expression, with the password kept out of sight",
  async (t) => {
    const login = { username: "berth", password: "s3cret-of-git" };
    const server = await serveRepository(bareDir, { login });
    try {
      const repo = server.url.replace("//", `//${login.username}:${login.password}@`);
      agent.configure({ repo, interval: "* * * * * *" });
      const shown = server.url.replace("//", "//berth@");
      await agent.untilStatus(({ source }) => source.url === shown, "the URL");
      const sha = await agent.commit({ "shop/compose.yaml": manifest("http") });
      await agent.fleet.git("push", "--quiet", bareDir, "next");
      await agent.untilApp(
        "shop",
        ({ revision, verdict }) => revision === sha && verdict === "healthy",
        10_000,
      );
      t.true(server.refused() > 0);
    } finally {
      await server.close();
    }
    const { source } = await agent.untilStatus((status) => status.source.error !== null, "its end");
    t.notRegex(JSON.stringify(source), /s3cret/);
    t.notRegex(agent.log, /s3cret/);
  },
);

serialKernelTest(
  "outside a maintenance window a commit waits, with the time said, and drift is healed",
  async (t) => {
    const closed = new Date(Date.now() + 12 * 3_600_000);
    const windows = [{ start: `0 ${closed.getHours()} * * *`, duration: "1h" }];
    agent.configure({ repo: agent.fleet.dir, interval: "1h", maintenanceWindows: windows });
    const sha = await agent.commit({ "shop/compose.yaml": manifest("later") });
    await agent.untilStatus(({ wanted }) => wanted === sha, "the commit");
    const { reason } = await agent.untilApp("shop", (app) => /window/.test(app.reason));
    t.regex(reason, /waiting for the maintenance window that opens \d{4}-/);
    const { pid, ...before } = await agent.container("shop-web-1");
    t.is((await agent.berth("sync")).code, 1);
    t.regex(await environmentOf("shop-web-1"), /GREETING=http/);
    agent.configure({ maintenanceWindows: [{ start: "* * * * *", duration: "10m" }] });
    await agent.untilApp(
      "shop",
      ({ revision, verdict }) => revision === sha && verdict === "healthy",
    );
    t.not((await agent.container("shop-web-1")).pid, pid);
    t.not((await agent.container("shop-web-1")).id, before.id);
    agent.configure({ maintenanceWindows: [] });
  },
);

function environmentOf(name: string): Promise<string> {
  return agent.ok("exec", name, "/bin/probe", "env");
}
