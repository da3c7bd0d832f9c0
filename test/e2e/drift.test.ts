import { readFileSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { freePort } from "../builders/free-port.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { nft, tables } from "./host-state.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();
let port = 0;

serialKernelTest("a container killed from outside is back without a commit", async (t) => {
  port = await freePort();
  await agent.deploy(
    "steady",
    `
services:
  web:
    image: ${image}
    restart: always
    ports: ["127.0.0.1:${port}:8080"]
    mem_limit: 64m
    pids_limit: 50
`,
  );
  const { pid, id } = await agent.container("steady-web-1");
  process.kill(pid ?? 0, "SIGKILL");
  const back = await agent.untilContainer(
    "steady-web-1",
    (entry) => entry.state === "running" && entry.pid !== pid,
  );
  t.is(back.id, id);
  t.is(back.restarts, 1);
  t.true(await answers());
});

serialKernelTest("a container whose supervisor is killed comes back", async (t) => {
  const { pid } = await agent.container("steady-web-1");
  const supervisor = parentOf(pid ?? 0);
  t.regex(readFileSync(`/proc/${supervisor}/comm`, "utf8"), /berth/);
  process.kill(supervisor, "SIGKILL");
  await agent.untilContainer(
    "steady-web-1",
    (entry) => entry.state === "running" && entry.pid !== pid,
  );
  await eventually(async () => ((await answers()) ? true : undefined), "an answer");
  t.pass();
});

serialKernelTest("a published port whose nft element was deleted works again", async (t) => {
  const table = await ourTable();
  const maps = JSON.parse(await nft("-j", "list", "table", ...table)) as {
    nftables: { map?: { name: string; elem?: unknown[] } }[];
  };
  const map = maps.nftables
    .flatMap(({ map: found }) => (found === undefined ? [] : [found]))
    .find(({ elem }) => JSON.stringify(elem ?? []).includes(`${port}`));
  t.truthy(map);
  await nft("flush", "map", ...table, map?.name ?? "");
  t.false(await answers());
  await eventually(async () => ((await answers()) ? true : undefined), "an answer", 15_000);
  t.is((await agent.container("steady-web-1")).state, "running");
});

serialKernelTest(
  "a deleted nft table and a changed limit are put back, the container untouched",
  async (t) => {
    const { pid } = await agent.container("steady-web-1");
    await nft("delete", "table", ...(await ourTable()));
    t.false(await answers());
    const limit = await limitFile("steady-web-1");
    writeFileSync(limit.path, limit.other);
    await eventually(async () => ((await answers()) ? true : undefined), "an answer", 15_000);
    await eventually(
      () => (readFileSync(limit.path, "utf8").trim() === limit.wanted ? true : undefined),
      "the limit",
      15_000,
    );
    t.is((await agent.container("steady-web-1")).pid, pid);
    t.regex(
      (await agent.get("/metrics")).body,
      /^berth_drift[a-z_]*\{.*kind="limit-changed".*\} [1-9]/m,
    );
  },
);

serialKernelTest(
  "stopped by hand stays stopped through syncs, which say so, until the service changes",
  async (t) => {
    await agent.ok("stop", "-t", "1s", "steady/web");
    t.like(await agent.container("steady-web-1"), { state: "exited", byHand: true });
    const synced = await agent.berth("sync");
    t.is(synced.code, 0);
    t.regex(synced.stdout + synced.stderr, /steady-web-1/);
    const report = JSON.parse(await agent.ok("sync", "--json"));
    t.deepEqual(report.leftAlone, ["steady-web-1"]);
    t.is((await agent.container("steady-web-1")).state, "exited");
    t.is((await agent.status()).apps.find(({ name }) => name === "steady")?.state, "degraded");
    await agent.end("SIGKILL");
    await agent.start();
    await agent.untilApp("steady", () => true);
    t.like(await agent.container("steady-web-1"), { state: "exited", byHand: true });
    const { verdict } = await agent.deploy(
      "steady",
      `services: { web: { image: "${image}", restart: always, environment: { GREETING: again } } }`,
    );
    t.is(verdict, "healthy");
    t.like(await agent.container("steady-web-1"), { state: "running", byHand: false });
  },
);

serialKernelTest(
  "containers outlive kill -9 of the agent and of its launcher, and are the same afterwards",
  async (t) => {
    const before = await agent.container("steady-web-1");
    await agent.end("SIGKILL");
    t.true(isAlive(before.pid ?? 0));
    await agent.start();
    await agent.untilStatus(({ wanted, running }) => wanted === running, "the revision");
    const after = await agent.container("steady-web-1");
    t.like(after, { pid: before.pid, id: before.id, startedAt: before.startedAt, restarts: 0 });
    const launcher = childrenOf(agent.pid).find((pid) => /berth-helper/.test(commandOf(pid)));
    t.truthy(launcher);
    process.kill(launcher ?? 0, "SIGKILL");
    const { verdict } = await agent.deploy("later", `services: { web: { image: "${image}" } }`);
    t.is(verdict, "healthy");
    t.is((await agent.container("steady-web-1")).pid, before.pid);
  },
);

/** On a new connection: the kernel remembers the way of one that stands. */
function answers(): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host: "127.0.0.1", port, path: "/healthz", agent: false, timeout: 1_000 };
    const asked = get(options, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => resolve(false));
  });
}

async function ourTable(): Promise<string[]> {
  const name = (await tables()).find((table) => table.includes(agent.instance));
  if (name === undefined) throw new Error("the instance has no nft table");
  return name.split(" ");
}

/** The memory limit as this host's cgroups have it. */
async function limitFile(name: string) {
  const { pid } = await agent.container(name);
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
  const v1 = lines.find((line) => line.split(":")[1] === "pids")?.split(":")[2];
  const v2 = lines.find((line) => line.startsWith("0::"))?.slice(3);
  const path =
    v1 === undefined
      ? join("/sys/fs/cgroup", v2 ?? "", "pids.max")
      : join("/sys/fs/cgroup/pids", v1, "pids.max");
  return { path, wanted: "50", other: "77" };
}

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8");
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
