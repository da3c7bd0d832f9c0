import { diffState } from "../../agent/plan/diff.ts";
import type { DesiredState } from "../../manifests/desired-state.ts";
import type { ContainerStatus } from "../../runtime/runtime.ts";
import { randomFleet } from "./random-fleet.ts";
import { randomNumbers } from "./random-numbers.ts";
import { SimulatedHost } from "./simulated-host.ts";

const actions = 14;
const foreign = "f".repeat(64);

/** One host's life with faults, from a seed. Rejects with an error that names the seed when an invariant is broken. */
export async function simulate(seed: number): Promise<void> {
  const life = new Life(seed);
  try {
    await life.run();
  } catch (error) {
    const again = `BERTH_SIMULATE_SEED=${seed} make simulate`;
    throw new Error(`seed ${seed}: ${String(error)}; again: ${again}\n${life.trail()}`, {
      cause: error,
    });
  }
}

class Life {
  readonly #host = new SimulatedHost();
  readonly #random: () => number;
  readonly #trail: string[] = [];
  #commits: DesiredState[] = [];
  #faults = true;
  #broken: string | undefined;

  constructor(seed: number) {
    this.#random = randomNumbers(seed);
  }

  /** What was done, for people. */
  trail(): string {
    return this.#trail.slice(-60).join("\n");
  }

  async run(): Promise<void> {
    const { runtime } = this.#host;
    runtime.addImage("web:1");
    await this.#addForeignContainer();
    runtime.disturb = (call) => this.#disturb(call);
    runtime.changed = () => this.#check();
    runtime.tellEnd = (tell) => this.#tell(tell);
    await this.#host.startAgent();
    try {
      for (let action = 0; action < actions; action += 1) {
        await this.#act();
        this.#require();
      }
      await this.#settle();
    } finally {
      this.#faults = false;
      await this.#host.killAgent();
    }
  }

  async #act(): Promise<void> {
    const roll = this.#random();
    const note = (what: string) => this.#trail.push(what);
    if (roll < 0.35) {
      const next = randomFleet(this.#random, { number: this.#commits.length + 1, mayFail: true });
      note(`commit ${next.revision.slice(-4)}`);
      this.#commits.push(next);
      await this.#host.commit(next);
    } else if (roll < 0.42 && this.#commits.length > 0) {
      const older = this.#commits[Math.floor(this.#random() * this.#commits.length)];
      note(`the ref goes to ${older?.revision.slice(-4)}`);
      if (older !== undefined) await this.#host.commit(older);
    } else if (roll < 0.57) {
      note("the agent is killed");
      await this.#host.killAgent();
      await this.#host.startAgent();
    } else if (roll < 0.61) {
      note("reboot");
      await this.#host.reboot();
    } else if (roll < 0.68) {
      const byMs = Math.floor((this.#random() - 0.5) * 7_200_000);
      note(`the clock is set by ${byMs} ms`);
      this.#host.clock.jump(byMs);
    } else if (roll < 0.78) await this.#endOne();
    const forMs = Math.floor(this.#random() ** 3 * 30_000);
    note(`${forMs} ms go by`);
    await this.#host.clock.advance(forMs);
    this.#behave();
  }

  async #endOne(): Promise<void> {
    const running = await this.#running();
    const one = running[Math.floor(this.#random() * running.length)];
    if (one === undefined || one.spec.id === foreign) return;
    this.#trail.push(`${one.spec.name} ends by itself`);
    this.#host.runtime.exit(one.spec.name, { code: 1, oomKilled: false });
  }

  /** Programs do what their environment says. */
  #behave(): void {
    const { runtime } = this.#host;
    runtime.endsAtOnce.clear();
    runtime.probes.clear();
    const desired = this.#host.core.enforcement.wanted();
    for (const { name, spec } of desired.apps.flatMap(({ containers }) => containers)) {
      if (spec.environment.BEHAVIOUR === "ends") runtime.endsAtOnce.set(name, 1);
      if (spec.environment.BEHAVIOUR === "sick") runtime.probes.set(name, 1);
    }
  }

  async #disturb(call: string): Promise<void> {
    this.#trail.push(call);
    this.#behave();
    const { alive, clock } = this.#host;
    // Not while an agent begins or ends: nobody lets the time go by then.
    if (!this.#faults || alive === undefined) return;
    const roll = this.#random();
    if (roll < 0.1) {
      await clock.sleep(Math.floor(this.#random() * 3_000), alive);
    } else if (roll < 0.17) throw new Error("no space left on device (simulated)");
  }

  #tell(tell: () => void): void {
    const roll = this.#faults ? this.#random() : 1;
    if (roll < 0.1) return;
    tell();
    if (roll < 0.2) tell();
  }

  /** What holds at every moment. */
  #check(): void {
    const running = this.#host.runtime.statuses().filter(({ state }) => state === "running");
    const found = running.filter(({ isHeldBack }) => isHeldBack !== true);
    const names = found.map(({ spec }) => spec.name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) this.#broken ??= `two containers serve as ${twice}`;
    const ports = found.flatMap(({ publishedPorts }) => publishedPorts.map((one) => one.hostPort));
    const shared = ports.find((port, index) => ports.indexOf(port) !== index);
    if (shared !== undefined) this.#broken ??= `two containers have port ${shared}`;
    if (!running.some(({ spec }) => spec.id === foreign)) {
      this.#broken ??= "a container that is not ours was touched";
    }
  }

  #require(): void {
    if (this.#broken !== undefined) throw new Error(this.#broken);
  }

  /** Without faults the host comes to rest, at what git wants or at what was good last. */
  async #settle(): Promise<void> {
    this.#faults = false;
    const { core, clock, runtime } = this.#host;
    const isBad = this.#random() < 0.3;
    const last = randomFleet(this.#random, { number: 0xfff, mayFail: isBad });
    this.#trail.push(`without faults from here: commit ${last.revision.slice(-4)}`);
    await this.#host.commit(last);
    for (let minute = 0; minute < 4; minute += 1) {
      await clock.advance(60_000);
      this.#behave();
    }
    this.#require();
    for (const { name, verdict, reason } of this.#host.loop.last?.apps ?? []) {
      const good = core.state.goodDefinitions(name).length > 0;
      const isFine = verdict === "healthy" || verdict === "rolled-back" || (isBad && !good);
      if (!isFine) throw new Error(`${name} ends as ${verdict}: ${reason}`);
    }
    await this.#requireRest(isBad);
    if (isBad) return;
    runtime.calls.length = 0;
    const rounds = this.#host.loop.roundsBegun;
    await clock.advance(60_000);
    if (runtime.calls.length > 0) throw new Error(`at rest it does ${runtime.calls.join(", ")}`);
    const begun = this.#host.loop.roundsBegun - rounds;
    if (begun > 7) throw new Error(`at rest it makes ${begun} rounds a minute`);
  }

  async #requireRest(isBad: boolean): Promise<void> {
    const { core } = this.#host;
    const actual = await core.view.observe();
    const { containers } = diffState(core.enforcement.wanted(), actual, this.#host.clock.now());
    if (containers.length > 0 && !isBad) {
      const first = JSON.stringify(containers[0], [
        "kind",
        "reason",
        "field",
        "from",
        "to",
        "name",
      ]);
      throw new Error(`at rest there is still something to do: ${first}`);
    }
    for (const { app, revision } of core.enforcement.quarantines()) {
      const bad = actual.containers.find(
        (container) =>
          container.app === app &&
          container.revision === revision &&
          // What the good revision says the same of may stay.
          core.enforcement.container(container.name)?.specDigest !== container.specDigest,
      );
      if (bad !== undefined) throw new Error(`${bad.name} is of a revision that is held back`);
    }
  }

  async #running(): Promise<ContainerStatus[]> {
    return this.#host.runtime.statuses().filter(({ state }) => state === "running");
  }

  async #addForeignContainer(): Promise<void> {
    const { runtime } = this.#host;
    const image = { reference: "web:1", digest: "sha256:web:1" };
    await runtime.createContainer({
      id: foreign,
      name: "somebody",
      labels: {},
      image,
      environment: {},
      mounts: [],
      networks: [],
      ports: [],
      resources: {},
      readOnlyRoot: false,
      init: false,
      tty: false,
      stdinOpen: false,
      log: { fileBytesMax: 1, filesMax: 1 },
    });
    await runtime.startContainer(foreign);
  }
}
