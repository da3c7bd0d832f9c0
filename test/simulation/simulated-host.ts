import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { type Core, createCore } from "../../agent/core.ts";
import type { HostListener } from "../../agent/host-listeners.ts";
import { defaultPolicy } from "../../agent/policy/policy.ts";
import { ReconcileLoop } from "../../agent/reconcile.ts";
import { recover } from "../../agent/recover.ts";
import type { Settings } from "../../agent/settings/settings.ts";
import { createEventLog } from "../../agent/store/event-log.ts";
import { createLiveStore, liveMigrations } from "../../agent/store/live-store.ts";
import { inTransaction } from "../../agent/store/open-database.ts";
import { createStateStore, stateMigrations } from "../../agent/store/state-store.ts";
import type { DesiredState } from "../../manifests/desired-state.ts";
import { noRegistrySettings } from "../../runtime/registry/registry-settings.ts";
import { someCommit } from "../builders/desired-state.ts";
import { SimulatedClock } from "./simulated-clock.ts";
import { SimulatedRuntime } from "./simulated-runtime.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const noMeters = {
  step() {},
  pull() {},
  round() {},
  fetched() {},
  verdict() {},
  refused() {},
  drift() {},
  hold() {},
};

/** Methods of the stores that change them. */
const writes =
  /^(accept|set|insert|finish|forget|put|lift|mark|unmark|begin|end|suspend|unsuspend)/;

/** One host: the real loop and the real stores on a simulated clock and runtime. */
export class SimulatedHost {
  readonly clock = new SimulatedClock();
  readonly runtime = new SimulatedRuntime(this.clock);
  /** Comes before anything is written to the agent's stores: may reject it. */
  disturbWrite: () => void = () => {};
  /** Questions to the runtime and the stores so far: what a round costs. */
  work = 0;
  readonly missingPaths = new Set<string>();
  disk = { bytesFree: 2 ** 40, filesFree: 1_000_000 };
  listeners: HostListener[] = [];
  settings: Settings = {
    repo: "/repo",
    ref: "main",
    git: {},
    commits: { signed: "none", allowRewrites: false },
    path: ".",
    host: "sim",
    poll: { kind: "every", intervalMs: 30_000 },
    listen: null,
    windows: [],
    allowedHosts: [],
    imageCollection: { highPercent: 85, lowPercent: 80, minAgeMs: 3_600_000 },
    registries: noRegistrySettings,
    addressPool: "10.210.0.0/16",
    webhook: null,
    notifications: [],
    policy: defaultPolicy,
    identityFile: "/nonexistent",
    log: { level: "info", format: "logfmt" },
  };
  readonly #stateDatabase = migrated(stateMigrations);
  #liveDatabase = migrated(liveMigrations);
  #ids = 0;
  #agent:
    | {
        core: Core;
        loop: ReconcileLoop;
        stop: AbortController;
        run: Promise<void>;
        life: { isOver: boolean };
      }
    | undefined;

  get core(): Core {
    return this.#running().core;
  }

  get loop(): ReconcileLoop {
    return this.#running().loop;
  }

  /** Aborted when the agent is killed; undefined while none runs. */
  get alive(): AbortSignal | undefined {
    return this.#agent?.stop.signal;
  }

  constructor() {
    this.runtime.isCallerDead = () => this.isDead;
  }

  async startAgent(options: { readonly rebooted?: boolean } = {}): Promise<void> {
    const { clock } = this;
    const life = { isOver: false };
    const core = createCore({
      runtime: this.#whileAlive(this.runtime, life),
      clock,
      state: this.#whileAlive(createStateStore(this.#stateDatabase), life),
      live: this.#whileAlive(createLiveStore(this.#liveDatabase), life),
      events: createEventLog(this.#stateDatabase, () => clock.now()),
      random: () => 0,
      newContainerId: () =>
        createHash("sha256")
          .update(`${++this.#ids}`)
          .digest("hex"),
      host: {
        listeners: async () => this.listeners,
        holderOf: async () => "process nginx (pid 812)",
        pathExists: async (path) => !this.missingPaths.has(path),
        memoryBytes: () => 8 * 2 ** 30,
        disk: async () => this.disk,
      },
      secrets: { resolve: async (state) => ({ ok: true, desired: state }) },
      trees: { put: async () => {}, keepOnly: async () => {} },
      log: silent,
      meters: noMeters,
      settings: () => this.settings,
    });
    await recover(core, { rebooted: options.rebooted ?? false });
    const loop = new ReconcileLoop(core);
    const stop = new AbortController();
    this.#agent = { core, loop, stop, run: loop.run(stop.signal), life };
    await clock.advance(0);
  }

  /** From this instant on nothing that the agent asks for happens; `killAgent` clears away. */
  stopDead(): void {
    const { life, stop } = this.#running();
    life.isOver = true;
    stop.abort();
  }

  get isDead(): boolean {
    return this.#agent?.life.isOver === true;
  }

  /** Like kill -9 between two instructions: nothing is closed in order. */
  async killAgent(): Promise<void> {
    const { core, stop, run, life } = this.#running();
    life.isOver = true;
    stop.abort();
    core.close();
    await run;
    this.#agent = undefined;
    // A dead process hears no exits and its timers never fire.
    this.runtime.forgetListeners();
    core.events.flush();
  }

  async reboot(): Promise<void> {
    await this.killAgent();
    this.runtime.loseEverythingRunning();
    this.#liveDatabase = migrated(liveMigrations);
    await this.startAgent({ rebooted: true });
  }

  /** A commit that compiled is accepted, and the loop told. */
  async commit(desired: DesiredState): Promise<void> {
    this.core.enforcement.accept(desired, someCommit, this.clock.now());
    this.core.puller.forgetFailures();
    this.loop.trigger("source moved");
    await this.clock.advance(0);
  }

  /** What was done to the runtime since the last question. */
  takeCalls(): string[] {
    return this.runtime.calls.splice(0);
  }

  app(name: string) {
    return this.loop.last?.apps.find((entry) => entry.name === name);
  }

  state(name: string): string | undefined {
    return this.runtime.status(name)?.state;
  }

  /** What a dead process asks for does not happen any more. */
  #whileAlive<T extends object>(part: T, life: { readonly isOver: boolean }): T {
    return new Proxy(part, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        return (...given: unknown[]) => {
          if (life.isOver) throw new Error("the agent is dead");
          this.work += 1;
          if (part !== (this.runtime as object) && writes.test(String(key))) this.disturbWrite();
          return Reflect.apply(value, target, given) as unknown;
        };
      },
    });
  }

  #running() {
    if (this.#agent === undefined) throw new Error("no agent runs");
    return this.#agent;
  }
}

/** `work` on a host with an agent; the agent is ended also when it fails. */
export async function withHost(work: (host: SimulatedHost) => Promise<void>): Promise<void> {
  const host = new SimulatedHost();
  host.runtime.addImage("web:1");
  await host.startAgent();
  try {
    await work(host);
  } finally {
    await host.killAgent();
  }
}

function migrated(scripts: readonly string[]): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  inTransaction(database, () => {
    for (const script of scripts) database.exec(script);
  });
  return database;
}
