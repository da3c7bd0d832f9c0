import { diffState } from "../../agent/plan/diff.ts";
import type { DesiredState } from "../../manifests/desired-state.ts";
import type { ContainerStatus } from "../../runtime/runtime.ts";
import { Promises } from "./promises.ts";
import { type Behaviour, randomFleet } from "./random-fleet.ts";
import { randomNumbers } from "./random-numbers.ts";
import { SimulatedHost } from "./simulated-host.ts";

const actions = 14;
/** Questions to runtime and stores for each service in a round that finds nothing to do. */
const workMax = 40;

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
  readonly #promises = new Promises(this.#host);

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
    for (const image of ["web:2", "web:3"]) runtime.registry.add(image);
    await this.#promises.addForeign();
    // Programs do what their environment says.
    runtime.behaves = ({ environment }) => behaviourOf(environment.BEHAVIOUR);
    runtime.disturb = (call, container) => this.#disturb(call, container);
    runtime.changed = () => this.#changed();
    this.#host.disturbWrite = () => this.#disturbWrite();
    runtime.tellEnd = (tell) => this.#tell(tell);
    await this.#host.startAgent();
    try {
      for (let action = 0; action < actions; action += 1) {
        await this.#act();
        while (this.#host.isDead) await this.#followUp();
        this.#promises.checkGood();
        this.#promises.require();
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
      await this.#commit(next);
    } else if (roll < 0.42 && this.#commits.length > 0) {
      const older = this.#commits[Math.floor(this.#random() * this.#commits.length)];
      note(`the ref goes to ${older?.revision.slice(-4)}`);
      if (older !== undefined) await this.#commit(older);
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
  }

  /** What cannot be written down is fetched again, by the next agent where this one died. */
  async #commit(desired: DesiredState): Promise<void> {
    for (;;) {
      while (this.#host.isDead) await this.#followUp();
      try {
        await this.#host.commit(desired);
        return;
      } catch (error) {
        if (!this.#faults) throw error;
        await this.#host.clock.advance(2_000);
      }
    }
  }

  async #endOne(): Promise<void> {
    const running = await this.#running();
    const one = running[Math.floor(this.#random() * running.length)];
    if (one === undefined || this.#promises.isForeign(one)) return;
    this.#trail.push(`${one.spec.name} ends by itself`);
    this.#host.runtime.exit(one.spec.name, { code: 1, oomKilled: false });
  }

  async #disturb(call: string, container?: Pick<ContainerStatus, "spec">): Promise<void> {
    this.#trail.push(call);
    this.#promises.checkBegun(container);
    const { alive, clock } = this.#host;
    // Not while an agent begins or ends: nobody lets the time go by then.
    if (!this.#faults || alive === undefined) return;
    const roll = this.#random();
    if (roll < 0.1) {
      await clock.sleep(Math.floor(this.#random() * 3_000), alive);
    } else if (roll < 0.17) throw new Error("no space left on device (simulated)");
    this.#mayDie();
  }

  #tell(tell: () => void): void {
    const roll = this.#faults ? this.#random() : 1;
    if (roll < 0.1) return;
    for (const _ of roll < 0.2 ? [1, 2] : [1]) {
      // Nobody tells the dead, and how they died is nobody's error.
      if (this.#host.isDead) return;
      try {
        tell();
      } catch (error) {
        if (!this.#host.isDead) throw error;
      }
    }
  }

  #changed(): void {
    this.#promises.check();
    this.#mayDie();
  }

  /** At any instruction of the agent. */
  #mayDie(): void {
    if (!this.#faults || this.#host.alive === undefined || this.#random() >= 0.02) return;
    this.#trail.push("the agent dies in the middle of it");
    this.#host.stopDead();
  }

  #disturbWrite(): void {
    if (!this.#faults || this.#host.alive === undefined) return;
    if (this.#random() < 0.02) throw new Error("database or disk is full (simulated)");
    this.#mayDie();
  }

  async #followUp(): Promise<void> {
    await this.#host.killAgent();
    await this.#host.startAgent();
  }

  /** Without faults the host comes to rest, at what git wants or at what was good last. */
  async #settle(): Promise<void> {
    this.#faults = false;
    const { core, clock, runtime } = this.#host;
    const isBad = this.#random() < 0.3;
    const last = randomFleet(this.#random, { number: 0xfff, mayFail: isBad });
    this.#trail.push(`without faults from here: commit ${last.revision.slice(-4)}`);
    await this.#commit(last);
    await clock.advance(240_000);
    this.#promises.require();
    for (const { name, verdict, reason } of this.#host.loop.last?.apps ?? []) {
      const good = core.state.goodDefinitions(name).length > 0;
      const isFine =
        verdict === "healthy" ||
        verdict === "rolled-back" ||
        (isBad && (!good || this.#waitsForPort(name)));
      if (!isFine) throw new Error(`${name} ends as ${verdict}: ${reason}`);
    }
    await this.#requireRest(isBad);
    if (isBad) return;
    runtime.calls.length = 0;
    const rounds = this.#host.loop.roundsBegun;
    this.#host.work = 0;
    await clock.advance(60_000);
    const services = last.apps.flatMap((app) => app.services).length;
    const work = this.#host.work / (this.#host.loop.roundsBegun - rounds);
    if (work > workMax * (services + 1)) throw new Error(`a round at rest asks ${work} questions`);
    if (runtime.calls.length > 0) throw new Error(`at rest it does ${runtime.calls.join(", ")}`);
    const begun = this.#host.loop.roundsBegun - rounds;
    if (begun > 7) throw new Error(`at rest it makes ${begun} rounds a minute`);
  }

  /**
   * An app that failed and has nothing to go back to stays as it is, so that whatever serves goes on: the port that an
   * earlier container of it has is not given away. Who wants it waits, and whoever wants a port of those who wait.
   */
  #waitsForPort(name: string): boolean {
    const { core, loop, runtime } = this.#host;
    const apps = loop.last?.apps ?? [];
    const stuck = new Set<string>();
    const isStuck = (app: (typeof apps)[number]) => {
      if (app.verdict === "failed") return core.state.goodDefinitions(app.name).length === 0;
      const wanted = core.enforcement.wanted().apps.find((one) => one.name === app.name);
      const ports = wanted?.containers.flatMap(({ spec }) => spec.ports.map((one) => one.hostPort));
      return runtime
        .statuses()
        .filter(({ spec }) => [...stuck].some((other) => spec.name.startsWith(`${other}-`)))
        .some(({ publishedPorts }) => publishedPorts.some((one) => ports?.includes(one.hostPort)));
    };
    for (const _ of apps) {
      for (const app of apps) if (app.verdict !== "healthy" && isStuck(app)) stuck.add(app.name);
    }
    return stuck.has(name);
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
    for (const { id, name, status } of actual.containers) {
      const seen = JSON.stringify(this.#host.runtime.seenBy(id));
      if (status.state === "running" && seen !== JSON.stringify(status.spec.mounts))
        throw new Error(`${name} sees other files at rest than its spec says: ${seen}`);
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
}

function behaviourOf(value: string | undefined): Behaviour {
  return value === "ends" || value === "sick" ? value : "good";
}
