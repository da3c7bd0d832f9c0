import type { Healthcheck } from "../manifests/desired-state.ts";
import type { Observation, ObserveOptions, Runtime } from "../runtime/runtime.ts";
import type { Clock } from "./clock.ts";
import type { ContainerIndex } from "./container-index.ts";
import { EarlyStarts } from "./early-starts.ts";
import type { HealthMonitor } from "./health/health-monitor.ts";
import { type ActualState, actualState } from "./observe.ts";
import type { RestartSupervisor } from "./restart/restart-supervisor.ts";
import { changedAtMs } from "./rollout/readiness.ts";
import type { LiveStore } from "./store/live-store.ts";
import type { StateStore } from "./store/state-store.ts";

/** The host as it is now: the runtime's observation joined with what the agent remembers. */
export type HostView = { observe(options?: ObserveOptions): Promise<ActualState> };

export function createHostView(options: {
  readonly runtime: Pick<Runtime, "observe">;
  readonly state: StateStore;
  readonly live: LiveStore;
  readonly healthcheckOf: (name: string) => Healthcheck | undefined;
  readonly index: ContainerIndex;
  readonly health: HealthMonitor;
  readonly supervisor: RestartSupervisor;
  readonly clock: Clock;
}): HostView {
  const { runtime, state, live, index, health, supervisor, clock } = options;
  const early = new EarlyStarts();
  return {
    async observe(observe) {
      const observation = await runtime.observe(observe);
      // Before health is read: a container without a watch counts as one without a healthcheck.
      watchHealth(observation, options);
      early.look(observation.containers, clock.now());
      const actual = actualState(observation, {
        health: (id) => health.health(id),
        restarts: (id) => supervisor.restarts(id),
        restartPending: (id) => supervisor.isPending(id),
        lostAtBoot: live.lost(),
        startedEarly: (id) => early.has(id),
        byHand: new Map(state.byHandMarks().map((mark) => [mark.name, mark])),
        completed: state.completed(),
      });
      index.refresh(actual.containers);
      return actual;
    },
  };
}

function watchHealth(
  observation: Observation,
  options: {
    readonly healthcheckOf: (name: string) => Healthcheck | undefined;
    readonly health: HealthMonitor;
  },
): void {
  for (const status of observation.containers) {
    const { spec, state } = status;
    const startedAtMs = changedAtMs(status);
    if (state === "running" && startedAtMs !== undefined) {
      options.health.watch(spec.id, startedAtMs, options.healthcheckOf(spec.name));
    } else {
      options.health.unwatch(spec.id);
    }
  }
}
