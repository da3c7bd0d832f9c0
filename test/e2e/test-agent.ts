/** The real agent as a process of its own, on real repositories, with the payload programs as images. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { PsEntry, StatusReport } from "../../agent/control/control.ts";
import { freePort } from "../builders/free-port.ts";
import { programImage, writeOciLayout } from "../builders/oci-layout.ts";
import { type Outcome, runBerth, startBerth } from "../cli/run-berth.ts";
import { eventually, payloadPath } from "../kernel/runtime-harness.ts";
import { type Changes, Fleet } from "./fleet.ts";
import { leftovers } from "./host-state.ts";

const berth = fileURLToPath(new URL("../../bin/berth", import.meta.url));

/** The image that the payload programs are in. `web` is its entrypoint. */
export const image = "localhost/web:e2e";

export type AppReport = StatusReport["apps"][number];

export type TestAgentOptions = {
  /** Fields of the config file; `repo` is the fleet unless it is given. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Runs the agent under this command. */
  readonly under?: (dir: string) => readonly string[];
};

export class TestAgent {
  readonly dir = mkdtempSync(join(tmpdir(), "bte-"));
  readonly instance = `bte${randomBytes(3).toString("hex")}`;
  readonly fleet = new Fleet(join(this.dir, "fleet"));
  readonly configFile = join(this.dir, "berth.yaml");
  readonly #options: TestAgentOptions;
  #config: Record<string, unknown> = {};
  #port = 0;
  #child: ChildProcess | undefined;

  constructor(options: TestAgentOptions = {}) {
    this.#options = options;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("no agent runs");
    return pid;
  }

  /** Everything that the agent wrote to stderr, over all its lives. */
  get log(): string {
    return readFileSync(join(this.dir, "agent.log"), "utf8");
  }

  /** A repository, an agent on it, and the image: ready for commits. */
  async open(): Promise<void> {
    await this.fleet.init();
    this.#port = await freePort();
    this.configure({
      repo: this.fleet.dir,
      interval: "1h",
      host: "test-host",
      listen: `127.0.0.1:${this.#port}`,
      addressPool: `10.${220 + (process.pid % 16)}.0.0/16`,
      log: { level: "debug" },
      policy: { bindMounts: [{ path: this.dir }] },
      ...this.#options.config,
    });
    await this.start();
    await this.load(image, {});
  }

  /** Writes the config file anew with these fields changed. */
  configure(fields: Readonly<Record<string, unknown>>): void {
    this.#config = { ...this.#config, ...fields };
    // JSON is YAML.
    writeFileSync(this.configFile, JSON.stringify(this.#config));
  }

  async start(): Promise<void> {
    const log = openSync(join(this.dir, "agent.log"), "a");
    const args = ["agent", "--config", this.configFile, ...this.globalOptions()];
    const [program = berth, ...rest] = [...(this.#options.under?.(this.dir) ?? []), berth, ...args];
    const env = { ...process.env, ...this.#options.environment };
    const child = spawn(program, rest, { env, stdio: ["ignore", log, log] });
    this.#child = child;
    await eventually(
      async () => {
        if (child.exitCode !== null) throw new Error(`the agent did not start:\n${this.log}`);
        return (await this.get("/healthz").catch(() => undefined))?.status;
      },
      "an agent that serves",
      20_000,
    );
  }

  /** Ends the agent; its containers go on. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  /** An image of the payload programs under another name, or with another configuration. */
  async load(reference: string, config: Parameters<typeof programImage>[2]): Promise<void> {
    const layout = join(this.dir, `image-${randomBytes(3).toString("hex")}`);
    const programs = ["web", "probe", "probe-net"].map((name) => ({
      path: payloadPath(name),
      installAs: `/bin/${name}`,
    }));
    writeOciLayout(layout, [programImage(reference, programs, config)]);
    await this.ok("load", layout);
    rmSync(layout, { recursive: true });
  }

  /** Runs a verb of the command line to its end. */
  berth(verb: string, ...args: readonly string[]): Promise<Outcome> {
    return runBerth([verb, ...this.globalOptions(), ...args]);
  }

  /** A verb that must succeed; resolves to its output. */
  async ok(verb: string, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.berth(verb, ...args);
    if (code !== 0)
      throw new Error(`berth ${[verb, ...args].join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  }

  /** A verb that goes on, in the background. The caller ends it. */
  begin(verb: string, ...args: readonly string[]): ReturnType<typeof startBerth> {
    return startBerth([verb, ...this.globalOptions(), ...args]);
  }

  globalOptions(): readonly string[] {
    return ["--root", this.dir, "--instance", this.instance];
  }

  commit(changes: Changes): Promise<string> {
    return this.fleet.commit(changes);
  }

  /** Commits and waits for the verdict on an app. */
  async deploy(app: string, manifest: string): Promise<AppReport> {
    const sha = await this.commit({ [`${app}/compose.yaml`]: manifest });
    return this.untilApp(app, ({ revision, verdict }) => revision === sha && verdict !== "pending");
  }

  untilApp(app: string, wanted: (report: AppReport) => boolean, ms = 20_000): Promise<AppReport> {
    return this.#until(`app ${app} as wanted`, ms, async () => {
      const found = (await this.status()).apps.find(({ name }) => name === app);
      return found !== undefined && wanted(found) ? found : undefined;
    });
  }

  untilStatus(
    wanted: (report: StatusReport) => boolean,
    what: string,
    ms = 20_000,
  ): Promise<StatusReport> {
    return this.#until(what, ms, async () => {
      const status = await this.status();
      return wanted(status) ? status : undefined;
    });
  }

  untilContainer(name: string, wanted: (entry: PsEntry) => boolean, ms = 20_000): Promise<PsEntry> {
    return this.#until(`container ${name} as wanted`, ms, async () => {
      const found = (await this.ps()).find((entry) => entry.name === name);
      return found !== undefined && wanted(found) ? found : undefined;
    });
  }

  async container(name: string): Promise<PsEntry> {
    const found = (await this.ps()).find((entry) => entry.name === name);
    if (found === undefined) throw new Error(`there is no container ${name}`);
    return found;
  }

  /** Over the socket: no process is started to ask. */
  status(): Promise<StatusReport> {
    return this.#ask("/v1/status");
  }

  /** All containers, ended ones too. */
  ps(): Promise<readonly PsEntry[]> {
    return this.#ask("/v1/ps?all=true");
  }

  /** What only `inspect` tells; the caller knows what it asks for. */
  inspect<Answer>(name: string): Promise<Answer> {
    return this.#ask(`/v1/inspect?name=${encodeURIComponent(name)}`);
  }

  /** On the public address. */
  async get(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const answer = await fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(20_000) });
    return { status: answer.status, body: await answer.text() };
  }

  /** Takes everything down, with or without a living agent. Throws when something is left in the kernel. */
  async close(): Promise<void> {
    try {
      if (existsSync(this.configFile)) {
        const { code, stderr } = await this.berth("down", "--volumes");
        if (code !== 0) throw new Error(`down failed: ${stderr}\n${this.log}`);
        await this.end("SIGTERM");
        const left = await leftovers(this.instance);
        if (left.length > 0) throw new Error(`${left.join(", ")} outlived down`);
      }
    } finally {
      await this.end("SIGKILL");
      if (process.env.KEEP_LOGS === undefined) rmSync(this.dir, { recursive: true, force: true });
    }
  }

  async #until<T>(what: string, ms: number, ask: () => Promise<T | undefined>): Promise<T> {
    try {
      return await eventually(ask, what, ms);
    } catch (cause) {
      const status = await this.status();
      const apps = status.apps.map(({ name, verdict, reason }) => `${name} ${verdict} ${reason}`);
      const containers = (await this.ps()).map(
        ({ name, state, health, restarts }) => `${name} ${state} ${health} ${restarts}`,
      );
      throw new Error(JSON.stringify({ what, apps, errors: status.errors, containers }), { cause });
    }
  }

  #ask<Answer>(path: string): Promise<Answer> {
    const socketPath = join(this.dir, "run", "agent.sock");
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath, path }, async (answer) => {
        const chunks: Buffer[] = [];
        for await (const chunk of answer) chunks.push(chunk);
        const text = Buffer.concat(chunks).toString();
        // The types of both ends come from agent/control/control.ts.
        if (answer.statusCode === 200) resolve(JSON.parse(text) as Answer);
        else reject(new Error(text));
      });
      asked.on("error", reject);
      asked.end();
    });
  }
}

/** A second repository that the agent can be pointed at. */
export async function bareRepository(dir: string, from: Fleet): Promise<Fleet> {
  mkdirSync(dir, { recursive: true });
  await promisify(execFile)("git", ["clone", "--quiet", "--bare", from.dir, dir]);
  return new Fleet(dir);
}
