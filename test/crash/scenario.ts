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
import type { TarEntry } from "../builders/tar.ts";
import { buildImage } from "../images/image-builder.ts";
import { withRegistry } from "../images/test-registry.ts";
import { payloadPath } from "../kernel/runtime-harness.ts";

const run = promisify(execFile);
const image = "localhost/web:crash";
/** In a registry, and pulled by the app that `pulled` adds. */
const pulledImage = { repository: "late", tag: "crash" };
/** In `spareLayout`, needed by nothing. */
const spareImage = "localhost/spare:crash";
const firstPool = 232;
const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];

/** Whose file changes with the second commit, while it goes on. */
export const reloadedContainer = "side-idle-1";
export const reloadedFile = "/etc/idle.conf";

/**
 * `broken` is a child of `deploy`, as `change` is: its `web` names a program that its image does not have. So are `left` and
 * `right`, between which `web` is replaced without a pause. `pulled` adds an app whose image is in a registry only.
 */
export type Revision = "deploy" | "change" | "prune" | "broken" | "left" | "right" | "pulled";

/** An image store and a repository of three commits, to be copied for each host that is to crash. */
export type Template = {
  readonly libDir: string;
  readonly fleet: string;
  readonly configFile: string;
  /** An OCI layout of `spareImage`: layers of its own. */
  readonly spareLayout: string;
  /** Published by `web`: hosts that live at the same time need different ones. */
  readonly port: number;
  readonly commits: Readonly<Record<Revision, string>>;
};

/**
 * Two apps: `shop` (web needs a healthy db, publishes a port; db has a volume) and `side` (a file changes under it). `count` templates that
 * differ in the port and the address pool. Removed afterwards.
 */
export function withTemplates(
  count: number,
  work: (templates: readonly Template[]) => Promise<void>,
): Promise<void> {
  return withRegistry(async (registry) => {
    const { repository, tag } = pulledImage;
    const [program] = programImage(image, webPrograms()).layers;
    // Neither is a layer of what is here.
    const layers = [[...(program ?? []), spareFile("late")], [spareFile("later")]].map(
      (entries) => ({ entries }),
    );
    registry.add(repository, tag, buildImage(layers, { config: { Entrypoint: ["/bin/web"] } }));
    await withTemplatesOf(registry.host, count, work);
  });
}

async function withTemplatesOf(
  registry: string,
  count: number,
  work: (templates: readonly Template[]) => Promise<void>,
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "btc-"));
  try {
    await loadImage(dir);
    const [libDir, spareLayout] = [join(dir, "lib"), join(dir, "spare")];
    writeSpareImage(spareLayout);
    const templates: Template[] = [];
    for (let index = 0; index < count; index += 1) {
      const fleet = join(dir, `${index}`, "fleet");
      mkdirSync(fleet, { recursive: true });
      // Two agents that look for a free network at the same moment may find the same one.
      const configFile = join(dir, `${index}`, "agent.yaml");
      writeFileSync(configFile, `addressPool: 10.${firstPool + index}.0.0/16\n`);
      const port = await freePort();
      const commits = await commitAll(fleet, { port, registry });
      templates.push({ libDir, fleet, configFile, spareLayout, port, commits });
    }
    await work(templates);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function commitAll(
  repo: string,
  { port, registry }: { readonly port: number; readonly registry: string },
): Promise<Template["commits"]> {
  await git(repo, ["init", "--quiet", "--initial-branch=main"]);
  const deploy = await commit(repo, {
    "shop/compose.yaml": shop(port),
    "side/compose.yaml": side,
    "side/idle.conf": "deploy\n",
  });
  const broken = await commit(repo, { "shop/compose.yaml": shop(port, "BROKEN", "/bin/nothing") });
  await git(repo, ["reset", "--quiet", "--hard", deploy]);
  const left = await commit(repo, {
    "shop/compose.yaml": shop(port, "left", "/bin/web", startFirst),
  });
  const right = await commit(repo, {
    "shop/compose.yaml": shop(port, "right", "/bin/web", startFirst),
  });
  await git(repo, ["reset", "--quiet", "--hard", deploy]);
  const pulled = await commit(repo, { "late/compose.yaml": late(registry) });
  await git(repo, ["reset", "--quiet", "--hard", deploy]);
  const change = await commit(repo, {
    "shop/compose.yaml": shop(port, "AHOY"),
    "side/idle.conf": "change\n",
  });
  await git(repo, ["rm", "--quiet", "-r", "side"]);
  const prune = await commit(repo, { "shop/compose.yaml": shopWithoutWeb });
  return { deploy, change, prune, broken, left, right, pulled };
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

/** Moves main to a new commit that has the content of another, and returns it. */
export async function commitAgain(repo: string, sha: string): Promise<string> {
  const made = await git(repo, [
    ...identity,
    "commit-tree",
    `${sha}^{tree}`,
    "-p",
    "main",
    "-m",
    "again",
  ]);
  const again = made.stdout.trim();
  await moveTo(repo, again);
  return again;
}

function writeSpareImage(layout: string): void {
  const layers = ["one", "two"].map((name) => [spareFile(name)]);
  writeOciLayout(layout, [{ reference: spareImage, layers, config: {} }]);
}

function spareFile(name: string): TarEntry {
  return { type: "file", path: name, content: Buffer.from(name) };
}

function webPrograms() {
  return ["web", "probe-net"].map((name) => ({
    path: payloadPath(name),
    installAs: `/bin/${name}`,
  }));
}

async function loadImage(dir: string): Promise<void> {
  writeOciLayout(join(dir, "layout"), [programImage(image, webPrograms())]);
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

const startFirst = `
    deploy: { update_config: { order: start-first } }`;

function shop(port: number, greeting = "ahoy", program = "/bin/web", more = ""): string {
  return `services:
  web:
    image: ${image}
    entrypoint: ["${program}"]
    command: ["--port", "8080", "--name", "web"]
    restart: always${more}
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
    volumes: ["./idle.conf:${reloadedFile}:ro"]
    x-berth: { on-config-change: "signal:SIGCONT" }
`;

function late(registry: string): string {
  return `services:
  late:
    image: ${registry}/${pulledImage.repository}:${pulledImage.tag}
    command: ["--port", "8080", "--name", "late"]
    restart: always
`;
}
