import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type {
  AgentEvent,
  PlanReport,
  PsEntry,
  StatusReport,
  SyncReport,
} from "../../agent/control/control.ts";
import type { PruneReport } from "../../agent/control/image-control.ts";
import { call, type Query, readLines } from "../../cli/agent-client.ts";
import { createContext } from "../../cli/context.ts";
import type { Kill, Passed, Said } from "./crash-plan.ts";
import { livingContainers } from "./inventory.ts";
import { commitAgain, copyTemplate, moveTo, type Revision, type Template } from "./scenario.ts";

const run = promisify(execFile);
const child = fileURLToPath(new URL("crash-child.ts", import.meta.url));
const berth = fileURLToPath(new URL("../../bin/berth", import.meta.url));
const compileCache = fileURLToPath(new URL("../../build/compile-cache", import.meta.url));
/** Until something is taken for stuck, on a machine that is busy with other things too. */
const patienceMs = 300_000;

/** A root and an instance whose agents are killed; everything of it is gone afterwards, also on failure. */
export class CrashHost {
  readonly root = join(tmpdir(), `btc-${randomBytes(4).toString("hex")}`);
  readonly instance = `btc${randomBytes(3).toString("hex")}`;
  readonly #template: Template;
  readonly #context = createContext({ root: this.root, instance: this.instance });
  #agent: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #lastPassed: Passed | undefined;
  #wanted = "";
  #isDown = false;
  /** Two containers of one name that lived at the same time. */
  readonly duplicates: string[] = [];

  private constructor(template: Template) {
    this.#template = template;
  }

  static async use(template: Template, work: (host: CrashHost) => Promise<void>): Promise<void> {
    const host = new CrashHost(template);
    try {
      await copyTemplate(template, host.root);
      await work(host);
    } catch (error) {
      throw new Error(`${String(error)}\nthe agents' log:\n${host.log()}`, { cause: error });
    } finally {
      await host.#cleanUp();
    }
  }

  get isAlive(): boolean {
    const agent = this.#agent;
    return agent !== undefined && agent.exitCode === null && agent.signalCode === null;
  }

  log(): string {
    return readFileSync(join(this.root, "agent.log"), "utf8").split("\n").slice(-60).join("\n");
  }

  async moveTo(revision: Revision): Promise<void> {
    this.#wanted = this.#template.commits[revision];
    await moveTo(join(this.root, "fleet"), this.#wanted);
  }

  /** A new commit with the content of a revision: what was held back is tried again. */
  async commitAgain(revision: Revision): Promise<string> {
    this.#wanted = await commitAgain(join(this.root, "fleet"), this.#template.commits[revision]);
    return this.#wanted;
  }

  start(kill: Kill | null): void {
    this.#isDown = false;
    const { root, instance } = this;
    const { configFile } = this.#template;
    const options = { root, instance, repo: join(root, "fleet"), configFile, kill };
    const log = openSync(join(root, "agent.log"), "a");
    const agent = spawn(process.execPath, [child, JSON.stringify(options)], {
      stdio: ["ignore", log, log, "ipc"],
      env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: compileCache },
    });
    closeSync(log);
    this.#agent = agent;
    agent.on("message", (said) => {
      // All that a child says besides "armed".
      if (said !== "armed") this.#lastPassed = said as Passed;
    });
    this.#ended = new Promise((resolve) => {
      agent.once("exit", () => resolve());
    });
  }

  /** From now on the agent passes things anew, and ends itself as told. */
  async arm(kill: Kill | null): Promise<void> {
    await this.#tell(kill ?? "never");
  }

  /** What the agent passed since it was armed. */
  async passed(): Promise<Passed> {
    // The child answers "count" with this.
    return (await this.#tell("count")) as Passed;
  }

  /** What the agent that has just ended, or was disarmed last, passed since it was armed. */
  lastPassed(): Passed {
    if (this.#lastPassed === undefined) throw new Error("the agent was killed before it could say");
    return this.#lastPassed;
  }

  /** The agent that was started last did not end by itself. */
  get wasKilled(): boolean {
    return this.#agent?.signalCode === "SIGKILL";
  }

  async killAgent(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.#agent?.kill(signal);
    await this.#ended;
  }

  /**
   * Until the newest commit is known here, `isDone` says so, all containers run and nothing is left to do (true), or the
   * agent is dead (false).
   */
  async converged(isDone: (status: StatusReport) => boolean = () => true): Promise<boolean> {
    const deadline = Date.now() + patienceMs;
    let said: unknown = "nothing";
    while (this.isAlive) {
      if (Date.now() > deadline) throw new Error(`cannot converge: the agent said ${said}`);
      this.#noteDuplicates();
      try {
        const status = await call<StatusReport>(this.#context, "GET /v1/status");
        const { steps } = await this.plan();
        const ps = await this.ps();
        const isUp = ps.every(({ state, health }) => state === "running" && health !== "starting");
        const isWanted = status.wanted === this.#wanted && isDone(status);
        if (isWanted && steps.length === 0 && isUp) return true;
        said = JSON.stringify({ status, steps, ps });
      } catch (error) {
        // It does not serve yet, has seen no revision yet, or died while it answered.
        said = error;
      }
      await sleep(30);
    }
    return false;
  }

  /** As `converged`, but the agent will not end itself any more. */
  async survived(isDone?: (status: StatusReport) => boolean): Promise<boolean> {
    return (await this.converged(isDone)) && (await this.disarmed());
  }

  /** False when the agent ended itself before it was told not to. */
  async disarmed(): Promise<boolean> {
    const isDisarmed = await this.#tell("disarm").then(
      () => true,
      () => false,
    );
    await (isDisarmed ? undefined : this.#ended);
    return isDisarmed;
  }

  ps(): Promise<PsEntry[]> {
    return call<PsEntry[]>(this.#context, "GET /v1/ps", { all: true });
  }

  plan(): Promise<PlanReport> {
    return call<PlanReport>(this.#context, "GET /v1/plan");
  }

  events(): Promise<AgentEvent[]> {
    const input = { follow: false };
    return Array.fromAsync(readLines<AgentEvent>(this.#context, "GET /v1/events", input));
  }

  /** The image that nothing needs, as it is known here now. */
  async loadSpareImage(): Promise<void> {
    await call(this.#context, "POST /v1/load", { path: this.#template.spareLayout });
  }

  /** `berth prune --all`; undefined when the agent ended on the way. */
  pruneImages(): Promise<PruneReport | undefined> {
    return this.#ask("POST /v1/prune", { all: true, dryRun: false });
  }

  /** `berth sync`, which looks for all that was changed by hand; undefined when the agent ended on the way. */
  sync(): Promise<SyncReport | undefined> {
    return this.#ask("POST /v1/sync", { timeoutMs: patienceMs });
  }

  async #ask<Answer>(route: string, input: Query): Promise<Answer | undefined> {
    try {
      return await call<Answer>(this.#context, route, input);
    } catch (error) {
      // The connection of a killed agent ends before the agent is known to have ended.
      await Promise.race([this.#ended, sleep(2000)]);
      if (this.isAlive) throw error;
      return undefined;
    }
  }

  /** Asks `web` at its published port. */
  async curl(path = "/env"): Promise<string> {
    const url = `http://127.0.0.1:${this.#template.port}${path}`;
    return (await fetch(url, { signal: AbortSignal.timeout(patienceMs) })).text();
  }

  /** `down` through the agent, which then ends; by the command line, where the agent was killed on the way. */
  async downByAgent(): Promise<void> {
    await call(this.#context, "POST /v1/down", { volumes: true }).catch(() => undefined);
    await this.#ended;
    if (this.#agent?.exitCode === 0) this.#isDown = true;
    else await this.down();
  }

  /** `berth down --volumes` where no agent runs. */
  async down(): Promise<void> {
    const place = ["--root", this.root, "--instance", this.instance];
    await run(berth, ["down", "--volumes", ...place]);
    this.#isDown = true;
  }

  #noteDuplicates(): void {
    const names = livingContainers(this).map(({ name }) => name);
    const twice = names.filter((name, index) => names.indexOf(name) !== index);
    this.duplicates.push(...twice);
  }

  #tell(message: Said): Promise<unknown> {
    const agent = this.#agent;
    if (agent === undefined) throw new Error("cannot tell the agent anything: none was started");
    return new Promise((resolve, reject) => {
      const fail = () => reject(new Error("the agent ended before it answered"));
      agent.once("message", resolve);
      agent.once("exit", fail);
      agent.send(message, (error) => {
        if (error !== null) fail();
      });
    });
  }

  async #cleanUp(): Promise<void> {
    await this.killAgent();
    if (!this.#isDown) await this.down();
    rmSync(this.root, { recursive: true, force: true });
  }
}
