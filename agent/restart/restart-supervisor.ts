import type { ExitRecord, Log, Runtime } from "../../runtime/runtime.ts";
import type { Clock } from "../clock.ts";
import type { ContainerIndex, IndexedContainer } from "../container-index.ts";
import { describeError } from "../log.ts";
import type { WantedContainer } from "../plan/wanted-state.ts";
import type { KeyedLock } from "../rollout/keyed-lock.ts";
import type { EventLog } from "../store/event-log.ts";
import type { LiveStore, RestartRecord } from "../store/live-store.ts";
import type { StateStore } from "../store/state-store.ts";
import { decideRestart, describeExit, isCompletion, restartWaitMs } from "./restart-policy.ts";

export type RestartSupervisorOptions = {
  readonly runtime: Pick<Runtime, "startContainer" | "stopContainer">;
  readonly index: ContainerIndex;
  readonly locks: KeyedLock;
  readonly live: LiveStore;
  readonly state: StateStore;
  readonly events: EventLog;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  /** The container that should carry this name now. */
  readonly wanted: (name: string) => WantedContainer | undefined;
  readonly onStarted: (id: string, startedAtMs: number) => void;
  /** Something changed that the loop should look at. */
  readonly onChange: (reason: string) => void;
};

const noRestarts: RestartRecord = { count: 0, backoffMs: 0 };

/** Answers exits at once by the restart policy, without waiting for the loop. */
export class RestartSupervisor {
  readonly #options: RestartSupervisorOptions;
  readonly #records: Map<string, RestartRecord>;
  readonly #pending = new Map<string, AbortController>();
  /** Containers whose end was asked for. */
  readonly #stopping = new Set<string>();
  /** Containers that are being ended because they are unhealthy, by this agent or by one before it. */
  readonly #unhealthy: Set<string>;
  /** Those among them that an earlier agent began to end. */
  readonly #inherited: Set<string>;
  readonly #close = new AbortController();

  constructor(options: RestartSupervisorOptions) {
    this.#options = options;
    this.#records = options.live.restarts();
    this.#unhealthy = options.live.unhealthy();
    this.#inherited = new Set(this.#unhealthy);
  }

  restarts(id: string): RestartRecord {
    return this.#records.get(id) ?? noRestarts;
  }

  isPending(id: string): boolean {
    return this.#pending.has(id);
  }

  /** Called before a container is stopped on purpose: its exit is nobody's failure, a pending restart is off. */
  expectStop(id: string): void {
    this.#stopping.add(id);
    this.#cancel(id);
  }

  /** Called after it was started on purpose. */
  expectRunning(id: string): void {
    this.#stopping.delete(id);
    this.#cancel(id);
  }

  /** A start by hand: the policy counts from the beginning. */
  reset(id: string): void {
    const { oomKills = 0 } = this.restarts(id);
    this.#setRecord(id, { ...noRestarts, oomKills });
  }

  forget(id: string): void {
    this.#cancel(id);
    this.#stopping.delete(id);
    this.#unmarkUnhealthy(id);
    this.#records.delete(id);
    this.#options.live.forgetRestarts(id);
  }

  handleExit(id: string, exit: ExitRecord): void {
    const { index, events, clock, onChange, log } = this.#options;
    const container = index.find(id);
    if (container === undefined) {
      log.warn("an unknown container ended", { container: id });
      onChange("container exited");
      return;
    }
    const { app, name } = container;
    const ranForMs = exit.finishedAtMs - (container.startedAtMs ?? clock.now());
    events.record({
      kind: "container.exited",
      app,
      target: name,
      message: `${name} ended with ${describeExit(exit)}`,
      fields: { container: id, ...exit, ranForMs },
    });
    if (exit.oomKilled) {
      const record = this.restarts(id);
      this.#setRecord(id, { ...record, oomKills: (record.oomKills ?? 0) + 1 });
    }
    if (!this.#stopping.has(id)) this.#answer(container, exit, ranForMs);
    onChange("container exited");
  }

  /** Ends an unhealthy container whose service asks for it; its exit is then answered whatever the restart policy. */
  handleUnhealthy(id: string): void {
    const { index, wanted: find, locks, live, runtime, events, log } = this.#options;
    const container = index.find(id);
    const wanted = container === undefined ? undefined : find(container.name);
    if (container === undefined || wanted?.service.onUnhealthy !== "restart") return;
    const isBeingEnded = this.#unhealthy.has(id) && !this.#inherited.delete(id);
    if (wanted.specDigest !== container.specDigest || isBeingEnded) return;
    this.#unhealthy.add(id);
    this.#note(() => live.markUnhealthy(id));
    const end = async () => {
      const { name, app } = container;
      const taken = this.#stopping.has(id) || this.#close.signal.aborted;
      if (taken || find(name)?.specDigest !== container.specDigest) {
        this.#unmarkUnhealthy(id);
        return;
      }
      const message = `${name} is unhealthy and is restarted`;
      events.record({ kind: "container.unhealthy", app, target: name, message });
      const { stopGraceMs: graceMs } = wanted.service;
      await runtime.stopContainer(id, { graceMs, abort: this.#close.signal });
    };
    // The mark goes with the exit, which may be told after the stop is done.
    locks.run(container.name, end).catch((error: unknown) => {
      // Whoever comes after this agent finds the mark, and the container ended or not.
      if (this.#close.signal.aborted) return;
      this.#unmarkUnhealthy(id);
      log.warn("cannot stop an unhealthy container", { container: container.name, error });
    });
  }

  close(): void {
    this.#close.abort(new Error("the agent ends"));
    for (const id of this.#pending.keys()) this.#cancel(id);
  }

  #answer(container: IndexedContainer, exit: ExitRecord, ranForMs: number): void {
    const { state, clock, wanted: find } = this.#options;
    const ended = this.#unmarkUnhealthy(container.id);
    const wanted = find(container.name);
    if (wanted === undefined || wanted.specDigest !== container.specDigest) return;
    const { restart: policy } = wanted.service;
    const byHand = state.byHandMarks().find(({ name }) => name === container.name);
    if (byHand?.specDigest === wanted.specDigest && isStop(byHand.action)) return;
    if (!ended && isCompletion(policy, exit)) {
      this.#note(() => state.markCompleted(container.name, container.specDigest, clock.now()));
    } else {
      const how = ended ? "a failed healthcheck" : describeExit(exit);
      const failure = { atMs: clock.now(), how };
      this.#setRecord(container.id, { ...this.restarts(container.id), failure });
    }
    if (ranForMs >= (policy.windowMs ?? Infinity)) this.reset(container.id);
    const restarts = this.restarts(container.id);
    const decision = decideRestart({
      policy: ended ? { ...policy, condition: "always" } : policy,
      exit,
      restarts,
      ranForMs,
    });
    if (!decision.restart) return;
    const backoffMs = decision.delayMs;
    const waitMs = restartWaitMs({ policy, backoffMs, random: this.#options.random() });
    this.#schedule(container, { backoffMs, waitMs });
  }

  #schedule(
    container: IndexedContainer,
    { backoffMs, waitMs }: { readonly backoffMs: number; readonly waitMs: number },
  ): void {
    const { clock, locks } = this.#options;
    this.#cancel(container.id);
    const pending = new AbortController();
    this.#pending.set(container.id, pending);
    const abort = AbortSignal.any([pending.signal, this.#close.signal]);
    const run = async () => {
      if (waitMs > 0) await clock.sleep(waitMs, abort);
      await locks.run(container.name, async () => {
        if (abort.aborted) return;
        // Something else may be wanted since it ended.
        if (this.#options.wanted(container.name)?.specDigest !== container.specDigest) {
          this.#settle(container.id, pending);
          return;
        }
        await this.#restart(container, backoffMs, () => this.#settle(container.id, pending));
      });
    };
    // Aborted: somebody else took over.
    run().catch(() => {});
  }

  async #restart(
    container: IndexedContainer,
    backoffMs: number,
    settled: () => void,
  ): Promise<void> {
    const { runtime, events, index, clock, onStarted, onChange, log } = this.#options;
    const { id, name, app } = container;
    const count = this.restarts(id).count + 1;
    this.#setRecord(id, { ...this.restarts(id), count, backoffMs });
    // It may end before its start is known: then it ran for no time, not since its earlier start.
    index.started(id, clock.now());
    try {
      const { startedAtMs } = await runtime.startContainer(id);
      settled();
      onStarted(id, startedAtMs);
      const message = `${name} was restarted`;
      events.record({ kind: "container.restarted", app, target: name, message, fields: { count } });
      onChange("container restarted");
    } catch (error) {
      log.warn("cannot restart a container", { container: name, error });
      const message = `cannot restart ${name}: ${describeError(error)}`;
      events.record({ kind: "container.restart-failed", app, target: name, message });
      settled();
      const failure: ExitRecord = { oomKilled: false, finishedAtMs: 0 };
      this.#answer(container, failure, 0);
      onChange("container not restarted");
    }
  }

  /** What it led to may have ended already: then the next restart stands in its place. */
  #settle(id: string, pending: AbortController): void {
    if (this.#pending.get(id) === pending) this.#pending.delete(id);
  }

  #setRecord(id: string, record: RestartRecord): void {
    this.#records.set(id, record);
    this.#note(() => this.#options.live.setRestarts(id, record));
  }

  /** Whether it was marked. */
  #unmarkUnhealthy(id: string): boolean {
    const isMarked = this.#unhealthy.delete(id);
    if (isMarked) this.#note(() => this.#options.live.unmarkUnhealthy(id));
    return isMarked;
  }

  /** A full disk keeps nobody from being restarted: what cannot be written down is known until the agent ends. */
  #note(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#options.log.warn("cannot note how a container ended", { error });
    }
  }

  #cancel(id: string): void {
    this.#pending.get(id)?.abort(new Error("taken over"));
    this.#pending.delete(id);
  }
}

function isStop(action: string): boolean {
  return action === "stop" || action === "kill";
}
