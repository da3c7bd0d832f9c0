import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { freePort } from "../builders/free-port.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { type ParsedFamily, parseExposition } from "../metrics/parse-exposition.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const scratch = mkdtempSync(join(tmpdir(), "bte-notify-"));
const socket = join(scratch, "notify.sock");
const received = join(scratch, "received");
const listener = listenForDatagrams();
const agent = sharedAgent({
  environment: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "400000" },
});
test.after.always(async () => {
  await endListener(listener);
  rmSync(scratch, { recursive: true, force: true });
});

let port = 0;

serialKernelTest(
  "the service manager is told READY=1 once, with the pid, and WATCHDOG=1 again and again",
  async (t) => {
    const text = await eventually(() => {
      const lines = readFileSync(received, "utf8");
      return lines.split("WATCHDOG=1").length > 4 ? lines : undefined;
    }, "three pings");
    t.regex(text, new RegExp(`^READY=1\nMAINPID=${agent.pid}$`, "m"));
    t.is(text.split("READY=1").length, 2);
  },
);

serialKernelTest(
  "the agent is alive but not ready until the wanted revision is healthy",
  async (t) => {
    port = await freePort();
    await agent.commit({
      "shop/compose.yaml": `
services:
  web:
    image: ${image}
    ports: ["127.0.0.1:${port}:8080"]
    mem_limit: 64m
    restart: always
    healthcheck: { test: ["CMD", "/bin/probe", "cat", "/tmp/fine"], interval: 1s, retries: 100 }
`,
    });
    await agent.untilApp("shop", ({ reason }) => /first good healthcheck/.test(reason));
    t.is((await agent.get("/healthz")).status, 200);
    const unready = await agent.get("/readyz");
    t.is(unready.status, 503);
    t.regex(unready.body, /shop/);
    await agent.ok("exec", "shop-web-1", "/bin/probe", "touch", "/tmp/fine");
    await agent.untilApp("shop", ({ verdict }) => verdict === "healthy");
    t.is((await agent.get("/readyz")).status, 200);
  },
);

serialKernelTest(
  "what a container receives is counted as received, and CPU time as used",
  async (t) => {
    const before = await scrape();
    const requests = 50;
    for (let count = 0; count < requests; count += 1) {
      await (await fetch(`http://127.0.0.1:${port}/log?text=${"x".repeat(4_000)}`)).text();
    }
    await (await fetch(`http://127.0.0.1:${port}/burn?ms=1500`)).text();
    const grown = await eventually(async () => {
      const after = await scrape();
      const used =
        sum(after, "container_cpu_usage_seconds_total") -
        sum(before, "container_cpu_usage_seconds_total");
      return used > 0.2 ? after : undefined;
    }, "the CPU time");
    const bytes = (name: string) => sum(grown, name) - sum(before, name);
    const receivedBytes = bytes("container_network_receive_bytes_total");
    t.true(receivedBytes > requests * 4_000, `${receivedBytes} bytes received`);
    t.true(bytes("container_network_transmit_bytes_total") < receivedBytes / 2);
    t.true(sum(grown, "container_memory_working_set_bytes") > 0);
    t.is(sum(grown, "container_spec_memory_limit_bytes"), 64 * 1_048_576);
    const [sample] = grown.get("container_last_seen")?.samples.filter(isOfShop) ?? [];
    t.true(Math.abs((sample?.value ?? 0) - Date.now() / 1_000) < 30);
  },
);

serialKernelTest("an out-of-memory kill and the restart after it are counted", async (t) => {
  const before = await scrape();
  const counted = (families: Families) => [
    sum(families, "container_oom_events_total"),
    sum(families, "container_restarts_total"),
  ];
  await fetch(`http://127.0.0.1:${port}/allocate?mib=200`).catch(() => undefined);
  await agent.untilContainer(
    "shop-web-1",
    ({ restarts, state }) => restarts === 1 && state === "running",
  );
  const [oomBefore = 0, restartsBefore = 0] = counted(before);
  // A scrape tells of the last round, and the restart is answered before the next one.
  const [oomAfter, restartsAfter] = await eventually(async () => {
    const after = counted(await scrape());
    return after[1] === restartsBefore ? undefined : after;
  }, "the restart in a scrape");
  t.is(oomAfter, oomBefore + 1);
  t.is(restartsAfter, restartsBefore + 1);
  const events = await agent.ok("events");
  t.regex(events, /shop-web-1 ended with signal 9 \(out of memory\)/);
});

serialKernelTest(
  "the agent's own figures tell revision, steps, fetches and containers",
  async (t) => {
    const families = await scrape();
    const { wanted } = await agent.status();
    const value = (name: string, labels: Readonly<Record<string, string>> = {}) =>
      families
        .get(name)
        ?.samples.filter((sample) =>
          Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
        )
        .reduce((total, sample) => total + sample.value, 0);
    t.is(value("berth_revision_info", { app: "shop", revision: wanted ?? "" }), 1);
    t.is(value("berth_containers", { state: "wanted" }), 1);
    t.is(value("berth_containers", { state: "running" }), 1);
    t.true((value("berth_steps_total", { kind: "start-container", result: "ok" }) ?? 0) >= 1);
  },
);

serialKernelTest(
  "verdicts, what is held back and a commit that is refused are in the figures",
  async (t) => {
    const side = (more: string) => `services: { web: { image: ${image}, restart: always${more} } }`;
    const samples = async (name: string) => (await scrape()).get(name)?.samples ?? [];
    const verdictOf = async (app: string) =>
      (await samples("berth_app_verdict"))
        .filter(({ labels, value }) => labels.app === app && value === 1)
        .map(({ labels }) => labels.verdict);
    const rollouts = async (verdict: string) =>
      (await samples("berth_rollouts_total")).find(({ labels }) => labels.verdict === verdict)
        ?.value ?? 0;
    const refused = async () => (await samples("berth_source_commit_refused"))[0]?.value;

    const healthyBefore = await rollouts("healthy");
    t.is((await agent.deploy("side", side(""))).verdict, "healthy");
    t.deepEqual(await verdictOf("side"), ["healthy"]);
    t.is(await rollouts("healthy"), healthyBefore + 1);
    t.deepEqual(await samples("berth_app_quarantined"), []);
    const takenBackBefore = await rollouts("rolled-back");
    const bad = await agent.commit({ "side/compose.yaml": side(", entrypoint: [/bin/nothing]") });
    await agent.untilApp("side", ({ verdict }) => verdict === "rolled-back");
    t.deepEqual(await verdictOf("side"), ["rolled-back"]);
    t.is(await rollouts("rolled-back"), takenBackBefore + 1);
    t.like(await samples("berth_app_quarantined"), [
      { labels: { app: "side", revision: bad }, value: 1 },
    ]);
    t.is(await refused(), 0);
    await agent.commit({ "side/compose.yaml": "services: { web: { imag: nothing } }" });
    await eventually(async () => ((await refused()) === 1 ? true : undefined), "the refusal");
    t.is((await agent.deploy("side", side(", hostname: side"))).verdict, "healthy");
    t.is(await refused(), 0);
    t.deepEqual(await samples("berth_app_quarantined"), []);
  },
);

serialKernelTest("a scrape says the same with gzip, and nothing else is served", async (t) => {
  const answer = await fetch(`${agent.url}/metrics`, { headers: { "accept-encoding": "gzip" } });
  t.is(answer.headers.get("content-encoding"), "gzip");
  t.regex(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  t.deepEqual([...parseExposition(await answer.text()).keys()], [...(await scrape()).keys()]);
  t.is((await agent.get("/v1/status")).status, 404);
  t.is((await fetch(`${agent.url}/metrics`, { method: "POST" })).status >= 400, true);
});

serialKernelTest("an agent that is told to end says STOPPING=1", async (t) => {
  await agent.end("SIGTERM");
  await eventually(
    () => (readFileSync(received, "utf8").includes("STOPPING=1") ? true : undefined),
    "the end",
  );
  await agent.start();
  t.like(await agent.container("shop-web-1"), { state: "running", restarts: 1 });
});

type Families = ReadonlyMap<string, ParsedFamily>;

async function scrape(): Promise<Families> {
  const { status, body } = await agent.get("/metrics");
  if (status !== 200) throw new Error(body);
  return parseExposition(body);
}

/** Of all series of the container. */
function sum(families: Families, name: string): number {
  const samples = families.get(name)?.samples.filter(isOfShop) ?? [];
  if (samples.length === 0) throw new Error(`no series ${name} for the container`);
  return samples.reduce((total, { value }) => total + value, 0);
}

function isOfShop({ labels }: { readonly labels: Readonly<Record<string, string>> }): boolean {
  return Object.values(labels).includes("shop-web-1");
}

/** Node has no datagram sockets on paths. */
function listenForDatagrams(): ChildProcess | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const program = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
with open(sys.argv[2], "wb", buffering=0) as f:
    while True:
        f.write(s.recv(4096) + b"\\n")
`;
  return spawn("python3", ["-c", program, socket, received], { stdio: "ignore" });
}

async function endListener(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}
