import type { Usage } from "../../runtime/cgroups/cgroup-usage.ts";
import type { Core } from "../core.ts";
import type { CheckCount } from "../health/health-monitor.ts";
import type { ActualState } from "../observe.ts";
import type { PlannedStep } from "../plan/step.ts";
import type { WantedApp } from "../plan/wanted-state.ts";
import type { RolloutRecord } from "../store/rollout-store.ts";
import type { UsageSpan } from "./bounds.ts";

type Look = {
  readonly startedAtMs: number;
  readonly atMs: number;
  readonly usage: Usage;
  readonly checks: CheckCount;
};

/** By service, of the replica that had most of it. */
type Before = {
  readonly rollout: number;
  /** Bytes of memory. */
  readonly services: Readonly<Record<string, number>>;
  /** Shares of 1; absent: an older berth wrote it. */
  readonly failedShares?: Readonly<Record<string, number>>;
};

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
    const known = readBefore(this.#core, app.name);
    const before = known?.rollout === watched.rollout.id ? known : undefined;
    const ids = new Set(actual.containers.map(({ id }) => id));
    for (const id of this.#first.keys()) if (!ids.has(id)) this.#first.delete(id);
    for (const { id, name, app: owner, service, status } of actual.containers) {
      const isBound = services.get(name)?.bounds !== undefined && owner === app.name;
      if (!isBound || status.state !== "running") continue;
      const startedAtMs = status.startedAtMs ?? 0;
      const checks = this.#core.health.checks(id);
      const now = {
        startedAtMs,
        atMs: this.#core.clock.now(),
        usage: await this.#usage(id),
        checks,
      };
      const first = this.#first.get(id);
      const isComparable =
        first?.startedAtMs === startedAtMs &&
        first.atMs <= now.atMs &&
        first.checks.made <= checks.made &&
        watched.isReady;
      if (!isComparable) this.#first.set(id, now);
      else {
        spans.set(id, {
          from: first.usage,
          to: now.usage,
          spanMs: now.atMs - first.atMs,
          memoryBytesBefore: before?.services[service],
          checks: {
            made: checks.made - first.checks.made,
            failed: checks.failed - first.checks.failed,
          },
          failedSharesBefore: before?.failedShares?.[service],
        });
      }
    }
    return spans;
  }

  async #usage(id: string): Promise<Usage> {
    return await this.#core.runtime.usage(id);
  }
}

/** To be called before the steps are done: keeps how the containers that they stop did, for the rollout that stops them. */
export async function noteBefore(core: Core, steps: readonly PlannedStep[]): Promise<void> {
  for (const { step } of steps) {
    if (step.kind !== "stop-container") continue;
    const container = core.index.find(step.id);
    const rollout = container === undefined ? undefined : core.rollouts.newest(container.app);
    if (container === undefined || rollout === undefined) continue;
    const { app, service, name } = container;
    const bounds = core.enforcement.container(name)?.service.bounds;
    const isCompared =
      bounds?.memoryGrowthMax !== undefined || bounds?.failedChecksMax !== undefined;
    if (!isCompared) continue;
    const { memoryBytes } = await core.runtime.usage(step.id);
    const { made, failed } = core.health.checks(step.id);
    const known = readBefore(core, app);
    const isSame = known?.rollout === rollout.id;
    const before: Before = {
      rollout: rollout.id,
      services: most(isSame ? known.services : {}, service, memoryBytes),
      failedShares: most(
        (isSame ? known.failedShares : undefined) ?? {},
        service,
        made === 0 ? undefined : failed / made,
      ),
    };
    core.state.setFact(`memory-before.${app}`, JSON.stringify(before));
  }
}

function most(
  known: Readonly<Record<string, number>>,
  service: string,
  figure: number | undefined,
): Readonly<Record<string, number>> {
  if (figure === undefined) return known;
  return { ...known, [service]: Math.max(figure, known[service] ?? 0) };
}

function readBefore(core: Core, app: string): Before | undefined {
  const text = core.state.fact(`memory-before.${app}`);
  // Written by noteBefore.
  return text === undefined ? undefined : (JSON.parse(text) as Before);
}
