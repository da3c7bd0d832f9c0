import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { openStores } from "../../agent/open-stores.ts";
import { openRuntime } from "../../runtime/open-runtime.ts";
import { freePort } from "../builders/free-port.ts";
import { programImage, writeOciLayout } from "../builders/oci-layout.ts";
import { payloadPath } from "../kernel/runtime-harness.ts";

const run = promisify(execFile);
const image = "localhost/web:crash";
const firstPool = 232;

export type Revision = "deploy" | "change" | "prune";

/** An image store and a repository of three commits, to be copied for each host that is to crash. */
export type Template = {
  readonly libDir: string;
  readonly fleet: string;
  readonly configFile: string;
  /** Published by `web`: hosts that live at the same time need different ones. */
  readonly port: number;
  readonly commits: Readonly<Record<Revision, string>>;
};

/**
 * Two apps: `shop` (web needs a healthy db, publishes a port; db has a volume) and `side`. `count` templates that
 * differ in the port and the address pool. Removed afterwards.
 */
export async function withTemplates(
  count: number,
  work: (templates: readonly Template[]) => Promise<void>,
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "btc-"));
  try {
    await loadImage(dir);
    const libDir = join(dir, "lib");
    const templates: Template[] = [];
    for (let index = 0; index < count; index += 1) {
      const fleet = join(dir, `${index}`, "fleet");
      mkdirSync(fleet, { recursive: true });
      // Two agents that look for a free network at the same moment may find the same one.
      const configFile = join(dir, `${index}`, "agent.yaml");
      writeFileSync(configFile, `addressPool: 10.${firstPool + index}.0.0/16\n`);
      const port = await freePort();
      const commits = await commitAll(fleet, port);
      templates.push({ libDir, fleet, configFile, port, commits });
    }
    await work(templates);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function commitAll(repo: string, port: number): Promise<Template["commits"]> {
  await git(repo, ["init", "--quiet", "--initial-branch=main"]);
  const both = { "shop/compose.yaml": shop(port), "side/compose.yaml": side };
  const deploy = await commit(repo, both);
  const change = await commit(repo, { "shop/compose.yaml": shop(port, "AHOY") });
  await git(repo, ["rm", "--quiet", "-r", "side"]);
  const prune = await commit(repo, { "shop/compose.yaml": shopWithoutWeb });
  return { deploy, change, prune };
}

/** Makes a root of its own from the template. */
export async function copyTemplate(template: Template, root: string): Promise<void> {
  mkdirSync(root, { recursive: true });
  // Owners and extended attributes of layers matter.
  await run("cp", ["-a", template.libDir, template.fleet, root]);
}

export async function moveTo(repo: string, sha: string): Promise<void> {
  await git(repo, ["update-ref", "refs/heads/main", sha]);
}

async function loadImage(dir: string): Promise<void> {
  const programs = ["web", "probe-net"].map((name) => ({
    path: payloadPath(name),
    installAs: `/bin/${name}`,
  }));
  writeOciLayout(join(dir, "layout"), [programImage(image, programs)]);
  const [libDir, runDir] = [join(dir, "lib"), join(dir, "run")];
  const stores = openStores({ libDir, runDir, now: Date.now });
  const runtime = await openRuntime({
    libDir,
    runDir,
    instance: `btc${randomBytes(3).toString("hex")}`,
    state: stores.stateDatabase,
    live: stores.liveDatabase,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    addressPool: "10.232.0.0/16",
    now: Date.now,
  });
  const abort = AbortSignal.timeout(30_000);
  await runtime.images.load(join(dir, "layout"), { abort });
  await runtime.destroy({ volumes: true, abort });
  stores.close();
}

async function commit(repo: string, files: Readonly<Record<string, string>>): Promise<string> {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(repo, path, ".."), { recursive: true });
    writeFileSync(join(repo, path), text);
  }
  await git(repo, ["add", "."]);
  const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
  await git(repo, [...identity, "commit", "--quiet", "-m", "change"]);
  return (await git(repo, ["rev-parse", "HEAD"])).stdout.trim();
}

function git(repo: string, args: readonly string[]) {
  return run("git", ["-C", repo, ...args]);
}

const database = `  db:
    image: ${image}
    command: ["--port", "8080", "--name", "db"]
    restart: always
    volumes: ["data:/data"]
    healthcheck:
      test: ["CMD", "/bin/probe-net", "tcp", "127.0.0.1", "8080"]
      interval: 30s
      start_period: 20s
      start_interval: 100ms
volumes:
  data:
`;

function shop(port: number, greeting = "ahoy"): string {
  return `services:
  web:
    image: ${image}
    command: ["--port", "8080", "--name", "web"]
    restart: always
    environment:
      GREETING: ${greeting}
    ports: ["127.0.0.1:${port}:8080"]
    depends_on:
      db:
        condition: service_healthy
${database}`;
}

const shopWithoutWeb = `services:
${database}`;

const side = `services:
  idle:
    image: ${image}
    command: ["--port", "8080", "--name", "idle"]
    restart: always
`;
