import { execFile } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "../builders/free-port.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { nft, tables } from "./host-state.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();
const run = promisify(execFile);
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
  await eventually(async () => ((await answers()) ? true : undefined), "an answer");
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
  "a line that was written into a container's /etc/hosts is gone after the next look, and told of",
  async (t) => {
    const { pid } = await agent.container("steady-web-1");
    const path = `/proc/${pid}/root/etc/hosts`;
    const before = readFileSync(path, "utf8");
    writeFileSync(path, `${before}192.0.2.7 elsewhere\n`);
    await eventually(
      () => (readFileSync(path, "utf8") === before ? true : undefined),
      "the file as it was",
      15_000,
    );
    t.is((await agent.container("steady-web-1")).pid, pid);
    t.regex(
      await agent.ok("events"),
      /steady-web-1: \/etc\/hosts is "192\.0\.2\.7 elsewhere" and is put back to nothing/,
    );
  },
);

serialKernelTest(
  "a container whose mount, address or volume was taken away is started anew with it",
  async (t) => {
    const manifest = `
services:
  web:
    image: ${image}
    volumes: ["data:/data", "${join(agent.dir, "bound")}:/bound:ro"]
volumes: { data: {} }
`;
    const bound = join(agent.dir, "bound");
    writeFileSync(bound, "before");
    await agent.deploy("robbed", manifest);
    const { path } = await agent.inspect<{ path: string }>("robbed_data");
    const inside = (pid: number | null, ...words: readonly string[]) =>
      run("nsenter", ["-t", `${pid}`, ...words]);
    const damages: readonly (readonly [(pid: number | null) => unknown, RegExp])[] = [
      [(pid) => inside(pid, "-m", "/bin/probe", "unmount", "/data"), /mount \/data is "absent"/],
      [
        (pid) => inside(pid, "-n", "ip", "address", "flush", "dev", "eth0"),
        /networks\.\S+ is "absent"/,
      ],
      [() => rmSync(path, { recursive: true }), /mount \/data is "deleted on the host"/],
    ];
    for (const [damage, told] of damages) {
      const { pid } = await agent.container("robbed-web-1");
      // The look that everything is compared with.
      await agent.ok("sync");
      await damage(pid);
      // The second is left to the agent's own look.
      if (told !== damages[1]?.[1]) await agent.ok("sync");
      await agent.untilContainer(
        "robbed-web-1",
        (entry) => entry.state === "running" && entry.pid !== pid,
        60_000,
      );
      t.regex(await agent.ok("events"), told);
      // As editors and certificate renewals do: no reason to start a container anew.
      writeFileSync(`${bound}.new`, "after");
      renameSync(`${bound}.new`, bound);
    }
    t.true(existsSync(path));
    t.notRegex(await agent.ok("events"), /mount \/bound/);
  },
);

serialKernelTest(
  "an interface of the host that was detached, set down or deleted, and a deleted bridge, are as they were soon",
  async (t) => {
    const damages: readonly (readonly [(end: HostEnd) => string[], RegExp, "goes on" | "anew"])[] =
      [
        [
          ({ name }) => ["set", name, "nomaster"],
          /steady-web-1: interface \S+ is "attached to nothing" and is put back to "attached to \S+"/,
          "goes on",
        ],
        [
          ({ name }) => ["set", name, "down"],
          /steady-web-1: interface \S+ is "down" and is put back to "up"/,
          "goes on",
        ],
        [
          ({ bridge }) => ["delete", bridge],
          /: link is "absent" and is put back to "present"/,
          "goes on",
        ],
        [
          ({ name }) => ["delete", name],
          /steady-web-1: interface \S+ is "absent" and is put back to "present"/,
          "anew",
        ],
      ];
    for (const [damage, told, life] of damages) {
      const { pid } = await agent.container("steady-web-1");
      t.notRegex(await agent.ok("events"), told);
      await run("ip", ["link", ...damage(await hostEnd(pid))]);
      await eventually(
        async () => (told.test(await agent.ok("events")) ? true : undefined),
        `${told}`,
        15_000,
      );
      await eventually(async () => ((await answers()) ? true : undefined), "an answer");
      const after = await agent.container("steady-web-1");
      t.is(after.pid === pid, life === "goes on", `${told}`);
    }
  },
);

serialKernelTest(
  "what was changed of a suspended app by hand stays so until it is resumed",
  async (t) => {
    await agent.ok("suspend", "steady");
    const limit = await limitFile("steady-web-1");
    writeFileSync(limit.path, limit.other);
    await agent.ok("sync");
    await agent.ok("sync");
    t.is(readFileSync(limit.path, "utf8").trim(), limit.other);
    await agent.ok("resume", "steady");
    await eventually(
      () => (readFileSync(limit.path, "utf8").trim() === limit.wanted ? true : undefined),
      "the limit",
      15_000,
    );
    t.pass();
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

type HostEnd = { readonly name: string; readonly bridge: string };

/** The host's end of a container's `eth0`. */
async function hostEnd(pid: number | null): Promise<HostEnd> {
  type Link = { ifindex: number; ifname: string; link_index: number; master?: string };
  const links = async (...words: string[]) =>
    JSON.parse((await run(words[0] ?? "", words.slice(1))).stdout) as Link[];
  const [inside] = await links("nsenter", "-t", `${pid}`, "-n", "ip", "-j", "link", "show", "eth0");
  const end = (await links("ip", "-j", "link")).find(
    ({ ifindex }) => ifindex === inside?.link_index,
  );
  return { name: end?.ifname ?? "", bridge: end?.master ?? "" };
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
