import type { ActualContainer, ActualState } from "../observe.ts";
import { isConditionMet } from "../rollout/conditions.ts";
import { type ContainerChange, publishesLater } from "./container-change.ts";
import type { Difference } from "./diff.ts";
import { isAlive, mayRun, portKey, serviceKey } from "./plan-keys.ts";
import { removalOrder } from "./removal-order.ts";
import { push, sortByNeeds } from "./sort-steps.ts";
import type { AwaitedCondition, PlannedStep } from "./step.ts";
import { StepGraph } from "./step-graph.ts";
import type { WantedContainer, WantedState } from "./wanted-state.ts";

export type PlanInput = {
  readonly difference: Difference;
  readonly wanted: WantedState;
  readonly actual: ActualState;
  /** 64 lower-case hex digits, new at each call. */
  readonly newContainerId: () => string;
};

/**
 * How strictly services wait for each other. `lazy`: a container is stopped only when what it depends on is up again
 * (shortest outage). That can be impossible (two services swap a port; a network is made anew under both): then
 * `eager` stops first and orders the starts. `unordered` is left when labels of several revisions contradict.
 */
type Ordering = "lazy" | "eager" | "unordered";

type Replacement = Extract<ContainerChange, { kind: "replace" }>;

/** Pure. Steps in an order in which they can run; `needs` says which of them could run side by side. */
export function planSteps(input: PlanInput): PlannedStep[] {
  for (const ordering of ["lazy", "eager", "unordered"] as const) {
    const sorted = sortByNeeds(new PlanBuilder(input, ordering).build());
    if (sorted !== undefined) return sorted;
  }
  throw new Error("cannot order the plan because its steps need each other: this is a defect");
}

class PlanBuilder {
  readonly #input: PlanInput;
  readonly #ordering: Ordering;
  readonly #steps = new StepGraph();
  /** `app/service` -> wanted replicas. */
  readonly #replicas = new Map<string, WantedContainer[]>();
  /** `app/service` -> keys of the start steps in this plan. */
  readonly #starts = new Map<string, string[]>();
  /** Name of a container -> keys of the steps that stop one of that name. */
  readonly #stops = new Map<string, string[]>();
  /** `port/protocol` -> keys of the stop steps that set it free. */
  readonly #releases = new Map<string, string[]>();

  constructor(input: PlanInput, ordering: Ordering) {
    this.#input = input;
    this.#ordering = ordering;
    for (const app of input.wanted.apps) {
      for (const container of app.containers) {
        push(this.#replicas, serviceKey(app.name, container.service.name), container);
      }
    }
  }

  build(): PlannedStep[] {
    const { containers, networks, volumes, drift } = this.#input.difference;
    for (const { app, volume, reason } of volumes) {
      this.#steps.add({ kind: "create-volume", app, volume }, reason);
    }
    for (const { kind, app, network, reason } of networks) {
      if (kind !== "create") {
        this.#steps.add({ kind: "remove-network", app, network: network.name }, reason);
      }
      if (kind !== "remove") {
        const key = this.#steps.add({ kind: "create-network", app, network }, reason);
        this.#steps.need(key, `remove-network ${network.name}`);
      }
    }
    for (const change of containers) this.#addChain(change);
    for (const change of containers) this.#orderChain(change);
    const removals = this.#ordering === "unordered" ? [] : removalOrder(containers);
    for (const { key, needed } of removals) this.#steps.need(key, needed);
    const isBridgeMissing = drift.some(({ kind }) => kind === "bridge-missing");
    if (drift.length > 0) {
      const reason = drift.map(({ target, field, from, to }) => ({
        field: `${target}.${field}`,
        from,
        to,
      }));
      const repair = this.#steps.add({ kind: "repair", app: null, drift }, reason);
      // What is started is attached to a bridge.
      for (const start of isBridgeMissing ? [...this.#starts.values()].flat() : []) {
        this.#steps.need(start, repair);
      }
    }
    return this.#steps.planned();
  }

  /** stop -> remove -> create -> start, as far as the change goes. */
  #addChain(change: ContainerChange): void {
    if (change.kind === "replace") {
      this.#addReplacement(change);
      return;
    }
    const { reason } = change;
    if (change.kind === "reload") {
      const { wanted, actual, reload } = change;
      const { id, name, app } = actual;
      const { specDigest } = wanted;
      this.#steps.add({ kind: "reload-container", id, name, app, specDigest, reload }, reason);
      return;
    }
    if (change.kind !== "create") {
      const { id, name, app, status } = change.actual;
      const target = { id, name, app };
      let stop: string | undefined;
      if (change.kind !== "start" && mayRun(change.actual)) {
        const graceMs =
          change.kind === "remove" ? change.actual.stopGraceMs : change.wanted.service.stopGraceMs;
        const key = this.#steps.add({ kind: "stop-container", graceMs, ...target }, reason);
        for (const port of status.spec.ports) push(this.#releases, portKey(port), key);
        push(this.#stops, name, key);
        stop = key;
      }
      if (change.kind === "recreate" || change.kind === "remove") {
        this.#addRemoval(change.actual, stop, reason);
      }
    }
    if (change.kind !== "remove") this.#addCreateAndStart(change);
  }

  #addRemoval(
    { id, name, app, status }: ActualContainer,
    stop: string | undefined,
    reason: PlannedStep["reason"],
  ): string {
    const key = this.#steps.add({ kind: "remove-container", id, name, app }, reason);
    if (stop !== undefined) this.#steps.need(key, stop);
    for (const { network } of status.spec.networks)
      this.#steps.need(`remove-network ${network}`, key);
    return key;
  }

  /** create -> start -> ready -> hand over -> drain -> stop -> remove. */
  #addReplacement(change: Replacement): void {
    const { wanted, actual, others, reason } = change;
    const { name, app } = wanted;
    const id = actual?.id ?? this.#input.newContainerId();
    const target = { id, name, app };
    if (actual === undefined) this.#addCreation({ id, wanted, heldBack: true, reason });
    if (change.start) {
      const key = this.#steps.add({ kind: "start-container", ...target }, reason);
      this.#steps.need(key, `create-container ${name}`);
    }
    // It would serve beside them from its start on: they end first.
    if (change.start && !publishesLater(change)) {
      for (const other of others) {
        const ended = this.#addRetirement(other, { wanted, reason });
        this.#steps.need(`start-container ${name}`, ended);
      }
      push(this.#starts, serviceKey(app, wanted.service.name), `start-container ${name}`);
      return;
    }
    // Where nobody serves there is nothing to wait for.
    if (others.some(({ status }) => isAlive(status.state))) {
      const key = this.#steps.add({ kind: "await-ready", ...target }, reason);
      this.#steps.need(key, `start-container ${name}`);
    }
    const from = others[0]?.id;
    const handOver = this.#steps.add({ kind: "hand-over", from, ...target }, reason);
    this.#steps.need(handOver, `start-container ${name}`);
    this.#steps.need(handOver, `await-ready ${name}`);
    push(this.#starts, serviceKey(app, wanted.service.name), handOver);
    // Two that swap a port cannot each wait for the other to take over first: then the old ones end before that.
    const isLast = this.#ordering === "lazy";
    const after = isLast ? handOver : `await-ready ${name}`;
    const kept = new Set(isLast ? wanted.spec.ports.map(portKey) : []);
    for (const other of others) {
      // Nobody finds it, and what is found is another: it is in nobody's place.
      const isSpare = other.status.isHeldBack === true && others[0]?.status.isHeldBack !== true;
      this.#addRetirement(other, { wanted, kept, reason, ...(isSpare ? {} : { after }) });
    }
  }

  /** The key of the step that ends it. */
  #addRetirement(
    other: ActualContainer,
    options: {
      readonly wanted: WantedContainer;
      readonly after?: string;
      readonly kept?: ReadonlySet<string>;
      readonly reason: PlannedStep["reason"];
    },
  ): string {
    const { wanted, after, kept, reason } = options;
    const { id, name, app, status } = other;
    const target = { id, name, app };
    if (!mayRun(other)) return this.#addRemoval(other, after, reason);
    const timeoutMs = wanted.service.stopGraceMs;
    const drain = this.#steps.add({ kind: "drain-container", timeoutMs, ...target }, reason);
    if (after !== undefined) this.#steps.need(drain, after);
    const graceMs = other.stopGraceMs;
    const stop = this.#steps.add({ kind: "stop-container", graceMs, ...target }, reason);
    this.#steps.need(stop, drain);
    for (const port of status.spec.ports) {
      if (kept?.has(portKey(port)) !== true) push(this.#releases, portKey(port), stop);
    }
    this.#addRemoval(other, stop, reason);
    return stop;
  }

  #addCreation(options: {
    readonly id: string;
    readonly wanted: WantedContainer;
    readonly heldBack: boolean;
    readonly reason: PlannedStep["reason"];
  }): string {
    const { id, wanted, heldBack, reason } = options;
    const { app } = wanted;
    const key = this.#steps.add({ kind: "create-container", app, id, wanted, heldBack }, reason);
    for (const { network } of wanted.spec.networks)
      this.#steps.need(key, `create-network ${network}`);
    for (const mount of wanted.spec.mounts) {
      if (mount.type === "volume") this.#steps.need(key, `create-volume ${mount.volume}`);
    }
    return key;
  }

  #addCreateAndStart(
    change: Exclude<ContainerChange, { kind: "remove" | "replace" | "reload" }>,
  ): void {
    const { wanted, reason } = change;
    const { name, app } = wanted;
    const makes = change.kind === "create" || change.kind === "recreate";
    const id = makes ? this.#input.newContainerId() : change.actual.id;
    if (makes) {
      const key = this.#addCreation({ id, wanted, heldBack: false, reason });
      this.#steps.need(key, `remove-container ${name}`);
    }
    if (change.kind === "create" && !change.start) return;
    const key = this.#steps.add({ kind: "start-container", id, name, app }, reason);
    this.#steps.need(key, `create-container ${name}`);
    push(this.#starts, serviceKey(app, wanted.service.name), key);
  }

  #orderChain(change: ContainerChange): void {
    if (change.kind === "remove") return;
    const { wanted } = change;
    const start = `start-container ${wanted.name}`;
    const stop = `stop-container ${wanted.name}`;
    const takes = publishesLater(change) ? `hand-over ${wanted.name}` : start;
    for (const port of wanted.spec.ports) {
      for (const release of this.#releases.get(portKey(port)) ?? [])
        this.#steps.need(takes, release);
    }
    if (change.kind !== "replace") {
      for (const key of this.#stops.get(wanted.name) ?? []) this.#steps.need(start, key);
    }
    if (this.#ordering === "unordered" || !this.#steps.has(start)) return;
    for (const key of this.#dependencies(wanted, change)) {
      this.#steps.need(start, key);
      if (this.#ordering === "lazy") this.#steps.need(stop, key);
    }
  }

  /** Keys of the steps that bring up what a container depends on. */
  #dependencies(wanted: WantedContainer, change: ContainerChange): string[] {
    const keys: string[] = [];
    for (const [service, { condition }] of Object.entries(wanted.service.dependsOn)) {
      const of = serviceKey(wanted.app, service);
      const replicas = this.#replicas.get(of);
      if (replicas === undefined) continue;
      const starts = this.#starts.get(of) ?? [];
      keys.push(...starts);
      if (condition === "service_started") continue;
      if (starts.length === 0 && isConditionMet(condition, replicas, this.#input.actual)) continue;
      keys.push(this.#addAwait({ app: wanted.app, service, condition, starts, change }));
    }
    return keys;
  }

  #addAwait(options: {
    readonly app: string;
    readonly service: string;
    readonly condition: AwaitedCondition;
    readonly starts: readonly string[];
    readonly change: ContainerChange;
  }): string {
    const { app, service, condition, starts, change } = options;
    const key = this.#steps.add(
      { kind: "await-condition", app, service, condition },
      change.reason,
    );
    for (const start of starts) this.#steps.need(key, start);
    return key;
  }
}
