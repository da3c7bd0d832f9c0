/** The main job on real input: a commit becomes containers, a second commit changes one of them, nothing stays behind. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify, styleText } from "node:util";
import { programImage, writeOciLayout } from "../test/builders/oci-layout.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const berth = join(root, "bin", "berth");
const image = "localhost/web:demo";

type Demo = {
  readonly scratch: string;
  readonly repository: string;
  readonly instance: string;
  readonly webPort: number;
  readonly metricsPort: number;
};

await main();

async function main(): Promise<void> {
  if (process.geteuid?.() !== 0) {
    process.stderr.write("the demo starts containers: run it as root (sudo make demo)\n");
    process.exitCode = 1;
    return;
  }
  const scratch = mkdtempSync(join(tmpdir(), "berth-demo-"));
  const demo: Demo = {
    scratch,
    repository: join(scratch, "fleet"),
    instance: `demo${process.pid}`,
    webPort: await freePort(),
    metricsPort: await freePort(),
  };
  const startedAt = performance.now();
  let agent: ChildProcess | undefined;
  try {
    await prepare(demo);
    agent = startAgent(demo);
    await converge(demo, agent);
    await change(demo);
    await showMetrics(demo);
    say("7. Take everything down");
    await show(demo, ["down", "--volumes"]);
    await ended(agent);
    await showNothingLeft(demo);
    process.stdout.write(`\nDone in ${seconds(startedAt)} s.\n`);
  } finally {
    await cleanUp(demo, agent);
  }
}

async function prepare(demo: Demo): Promise<void> {
  say("1. Build a small OCI image from a static program of this repository");
  const layout = join(demo.scratch, "image");
  const programs = ["web", "probe-net"].map((name) => ({
    path: join(root, "build", "payload", name),
    installAs: `/bin/${name}`,
  }));
  writeOciLayout(layout, [programImage(image, programs)]);
  const bytes = programs.reduce((sum, { path }) => sum + readFileSync(path).length, 0);
  print(`${image}: two static programs, ${bytes} bytes, in ${layout}`);

  say("2. Commit a manifest of two services to a git repository");
  mkdirSync(join(demo.repository, "hello"), { recursive: true });
  await git(demo, ["init", "--quiet", "--initial-branch=main"]);
  await commit(demo, "Greet from the quay", manifest(demo, "ahoy"));
  print(manifest(demo, "ahoy"));
}

async function converge(demo: Demo, agent: ChildProcess): Promise<void> {
  say("3. Start the agent on it");
  await waitForSocket(demo, agent);
  await show(demo, ["load", join(demo.scratch, "image")]);
  const startedAt = performance.now();
  await show(demo, ["sync"]);
  print(`from sync to healthy: ${seconds(startedAt)} s`);
  await show(demo, ["ps"]);

  say("4. Ask the service");
  print(`$ curl http://127.0.0.1:${demo.webPort}/`);
  print(await get(`http://127.0.0.1:${demo.webPort}/`));
  print(await get(`http://127.0.0.1:${demo.webPort}/whoami`));
}

async function change(demo: Demo): Promise<void> {
  say("5. Commit a change of one service: the other is not touched");
  const committedAt = performance.now();
  await commit(demo, "Greet louder", manifest(demo, "AHOY"));
  for (;;) {
    const text = await get(`http://127.0.0.1:${demo.webPort}/env`).catch(() => "");
    if (text.includes("GREETING=AHOY")) break;
    if (performance.now() - committedAt > 30_000)
      throw new Error("cannot see the change: 30 s passed");
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  print(`from commit to the new answer: ${seconds(committedAt)} s`);
  await show(demo, ["sync"]);
  await show(demo, ["ps"]);
  await show(demo, ["status"]);
}

async function showMetrics(demo: Demo): Promise<void> {
  say("6. Some of its metrics");
  const text = await get(`http://127.0.0.1:${demo.metricsPort}/metrics`);
  const wanted =
    /^(container_memory_working_set_bytes|container_cpu_usage_seconds_total|container_network_receive_bytes_total|berth_revision_info|berth_containers)\{/;
  const lines = text.split("\n").filter((line) => wanted.test(line));
  for (const line of lines) print(line);
  print(
    `${text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length} series in all`,
  );
}

function manifest(demo: Demo, greeting: string): string {
  return `services:
  web:
    image: ${image}
    command: ["--port", "8080", "--name", "web"]
    environment:
      GREETING: ${greeting}
    ports: ["127.0.0.1:${demo.webPort}:8080"]
    volumes: ["logbook:/data"]
    depends_on: [backend]
    mem_limit: 64m
    healthcheck:
      test: ["CMD", "/bin/probe-net", "tcp", "127.0.0.1", "8080"]
      interval: 1s
  backend:
    image: ${image}
    command: ["--port", "9090", "--name", "backend"]
    restart: always
volumes:
  logbook:
`;
}

function startAgent(demo: Demo): ChildProcess {
  const log = openSync(join(demo.scratch, "agent.log"), "w");
  const args = [
    "agent",
    ...globalOptions(demo),
    "--repo",
    demo.repository,
    "--interval",
    "1h",
    "--listen",
    `127.0.0.1:${demo.metricsPort}`,
  ];
  print(`$ berth ${args.join(" ")}`);
  return spawn(berth, args, { stdio: ["ignore", log, log] });
}

async function waitForSocket(demo: Demo, agent: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (agent.exitCode !== null) break;
    if (await get(`http://127.0.0.1:${demo.metricsPort}/healthz`).catch(() => undefined)) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
  throw new Error(
    `the agent did not start:\n${readFileSync(join(demo.scratch, "agent.log"), "utf8")}`,
  );
}

async function showNothingLeft(demo: Demo): Promise<void> {
  const [links, mounts, cgroups] = [
    readFileSync("/proc/net/dev", "utf8"),
    readFileSync("/proc/self/mountinfo", "utf8"),
    await run("find", ["/sys/fs/cgroup", "-maxdepth", "2", "-name", demo.instance]).then(
      ({ stdout }) => stdout,
    ),
  ];
  const left = [links, mounts, cgroups].filter((text) => text.includes(demo.instance));
  print(`interfaces, mounts and cgroups that carry the name ${demo.instance}: ${left.length}`);
}

async function cleanUp(demo: Demo, agent: ChildProcess | undefined): Promise<void> {
  if (agent !== undefined && agent.exitCode === null && agent.signalCode === null) {
    const log = join(demo.scratch, "agent.log");
    process.stderr.write(`\nthe agent's log:\n${readFileSync(log, "utf8")}\n`);
    await run(berth, ["down", ...globalOptions(demo), "--volumes"]).catch(() => {});
    agent.kill("SIGTERM");
    await ended(agent);
  }
  rmSync(demo.scratch, { recursive: true, force: true });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
  });
}

async function show(demo: Demo, args: readonly string[]): Promise<void> {
  print(styleText("dim", `$ berth ${args.join(" ")}`));
  const { stdout } = await run(berth, [...args, ...globalOptions(demo)]);
  print(stdout.trimEnd());
}

function globalOptions(demo: Demo): readonly string[] {
  return ["--root", demo.scratch, "--instance", demo.instance];
}

async function commit(demo: Demo, message: string, text: string): Promise<void> {
  writeFileSync(join(demo.repository, "hello", "compose.yaml"), text);
  await git(demo, ["add", "."]);
  const identity = ["-c", "user.name=Demo", "-c", "user.email=demo@example.org"];
  await git(demo, [...identity, "commit", "--quiet", "-m", message]);
  const { stdout } = await git(demo, ["log", "--oneline", "-1"]);
  print(stdout.trim());
}

function git(demo: Demo, args: readonly string[]) {
  return run("git", ["-C", demo.repository, ...args]);
}

async function get(url: string): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
  if (!answer.ok) throw new Error(`cannot get ${url}: status ${answer.status}`);
  return (await answer.text()).trimEnd();
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      // listen on a port gives an AddressInfo.
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(2);
}

function say(title: string): void {
  process.stdout.write(`\n${styleText("bold", title)}\n`);
}

function print(text: string): void {
  process.stdout.write(`${text.replace(/^/gm, "   ")}\n`);
}
