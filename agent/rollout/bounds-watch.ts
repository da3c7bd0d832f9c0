import type { Usage } from "../../runtime/cgroups/cgroup-usage.ts";
import type { Core } from "../core.ts";
import type { ActualState } from "../observe.ts";
import type { PlannedStep } from "../plan/step.ts";
import type { WantedApp } from "../plan/wanted-state.ts";
import type { RolloutRecord } from "../store/rollout-store.ts";
import type { UsageSpan } from "./bounds.ts";

type Look = { readonly startedAtMs: number; readonly atMs: number; readonly usage: Usage };
type MemoryBefore = { readonly rollout: number; readonly services: Record<string, number> };

/** Looks at what containers with bounds use from when their app is ready on. */
export class BoundsWatch {
  readonly #core: Core;
  /** Container id -> the look that the next ones are compared with. */
  readonly #first = new Map<string, Look>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** By container id; none before the app is ready, because a start is no usual time. */
  async look(
    app: WantedApp,
    actual: ActualState,
    watched: { readonly rollout: RolloutRecord; readonly isReady: boolean },
  ): Promise<ReadonlyMap<string, UsageSpan>> {
    const spans = new Map<string, UsageSpan>();
    const services = new Map(app.containers.map(({ name, service }) => [name, service]));
    const before = readBefore(this.#core, app.name);
    const ids = new Set(actual.containers.map(({ id }) => id));
    for (const id of this.#first.keys()) if (!ids.has(id)) this.#first.delete(id);
    for (const { id, name, app: owner, service, status } of actual.containers) {
      const isBound = services.get(name)?.bounds !== undefined && owner === app.name;
      if (!isBound || status.state !== "running") continue;
      const startedAtMs = status.startedAtMs ?? 0;
      const now = { startedAtMs, atMs: this.#core.clock.now(), usage: await this.#usage(id) };
      const first = this.#first.get(id);
      const isComparable =
        first?.startedAtMs === startedAtMs && first.atMs <= now.atMs && watched.isReady;
      if (!isComparable) this.#first.set(id, now);
      else {
        spans.set(id, {
          from: first.usage,
          to: now.usage,
          spanMs: now.atMs - first.atMs,
          memoryBytesBefore:
            before?.rollout === watched.rollout.id ? before.services[service] : undefined,
        });
      }
    }
    return spans;
  }

  async #usage(id: string): Promise<Usage> {
    return await this.#core.runtime.usage(id);
  }
}

/** To be called before the steps are done: keeps what the containers that they stop use, for the rollout that stops them. */
export async function noteMemoryBefore(core: Core, steps: readonly PlannedStep[]): Promise<void> {
  for (const { step } of steps) {
    if (step.kind !== "stop-container") continue;
    const container = core.index.find(step.id);
    const rollout = container === undefined ? undefined : core.rollouts.newest(container.app);
    if (container === undefined || rollout === undefined) continue;
    const { app, service, name } = container;
    if (core.enforcement.container(name)?.service.bounds?.memoryGrowthMax === undefined) continue;
    const { memoryBytes } = await core.runtime.usage(step.id);
    if (memoryBytes === undefined) continue;
    const known = readBefore(core, app);
    const services = known?.rollout === rollout.id ? known.services : {};
    const most = Math.max(memoryBytes, services[service] ?? 0);
    const before: MemoryBefore = {
      rollout: rollout.id,
      services: { ...services, [service]: most },
    };
    core.state.setFact(`memory-before.${app}`, JSON.stringify(before));
  }
}

function readBefore(core: Core, app: string): MemoryBefore | undefined {
  const text = core.state.fact(`memory-before.${app}`);
  // Written by noteMemoryBefore.
  return text === undefined ? undefined : (JSON.parse(text) as MemoryBefore);
}
