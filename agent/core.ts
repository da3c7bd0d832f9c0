import type { Healthcheck } from "../manifests/desired-state.ts";
import type { Log, Runtime } from "../runtime/runtime.ts";
import type { Clock } from "./clock.ts";
import { type ContainerIndex, createContainerIndex } from "./container-index.ts";
import { type HealthChange, HealthMonitor } from "./health/health-monitor.ts";
import { createHealthcheckLookup } from "./health/healthcheck-lookup.ts";
import { createHostView, type HostView } from "./host-view.ts";
import { ImageCollector } from "./images/image-collector.ts";
import { removalEvent } from "./images/image-events.ts";
import { ImagePuller, type PullResult } from "./images/image-puller.ts";
import { neededImages } from "./images/needed-images.ts";
import { TagWatcher } from "./images/tag-watcher.ts";
import { describeError } from "./log.ts";
import type { Meters } from "./meters.ts";
import { RestartSupervisor } from "./restart/restart-supervisor.ts";
import type { CapacityHost } from "./rollout/capacity.ts";
import { Enforcement } from "./rollout/enforcement.ts";
import { createKeyedLock, type KeyedLock } from "./rollout/keyed-lock.ts";
import type { PreflightHost } from "./rollout/preflight.ts";
import { RolloutLog } from "./rollout/rollout-log.ts";
import type { StepTrace } from "./rollout/step-trace.ts";
import type { SecretKeeper } from "./secrets/secret-keeper.ts";
import type { Settings } from "./settings/settings.ts";
import type { EventLog, NewEvent } from "./store/event-log.ts";
import type { LiveStore } from "./store/live-store.ts";
import type { StateStore } from "./store/state-store.ts";
import type { TreeStore } from "./trees/tree-store.ts";

/** What the agent stands on: handed in, so that a simulation can stand it on something else. */
export type CoreOptions = {
  readonly runtime: Runtime;
  readonly state: StateStore;
  readonly live: LiveStore;
  readonly events: EventLog;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** 64 lower-case hex digits, new at each call. */
  readonly newContainerId: () => string;
  readonly host: PreflightHost & CapacityHost;
  readonly trees: TreeStore;
  readonly secrets: Pick<SecretKeeper, "resolve">;
  readonly log: Log;
  readonly meters: Meters;
  readonly settings: () => Settings;
  /** Sees every step pass. */
  readonly trace?: StepTrace | undefined;
};

/** The parts that work beside the loop, joined. */
export type Core = CoreOptions & {
  readonly enforcement: Enforcement;
  readonly rollouts: RolloutLog;
  readonly index: ContainerIndex;
  readonly locks: KeyedLock;
  readonly health: HealthMonitor;
  /** What the container of a name is held to: the service's healthcheck, or its image's. */
  readonly healthcheckOf: (name: string) => Healthcheck | undefined;
  readonly supervisor: RestartSupervisor;
  readonly puller: ImagePuller;
  readonly collector: ImageCollector;
  readonly tags: TagWatcher;
  readonly view: HostView;
  /** To be called when a container runs: by the loop, the restart policy or by hand. */
  readonly started: (id: string, startedAtMs: number) => void;
  /** Wakes the loop. Does nothing until the loop has put itself here. */
  wake: (reason: string) => void;
  close(): void;
};

export function createCore(options: CoreOptions): Core {
  const { runtime, state, live, events, clock, random, log } = options;
  const rollouts = new RolloutLog(state);
  const enforcement = new Enforcement(state, rollouts);
  const index = createContainerIndex();
  const locks = createKeyedLock();
  const wake = (reason: string) => core.wake(reason);
  const wanted = (name: string) => enforcement.container(name);
  const healthcheckOf = createHealthcheckLookup({ images: runtime.images, wanted });
  const health = new HealthMonitor({
    runtime,
    clock,
    log,
    onChange: (change) => {
      events.record(healthEvent(change, index));
      wake("health changed");
    },
    onUnhealthy: (id) => supervisor.handleUnhealthy(id),
  });
  const started = (id: string, startedAtMs: number) => {
    index.started(id, startedAtMs);
    if (live.lost().has(id)) live.unmarkLost(id);
    const name = index.find(id)?.name;
    health.watch(id, startedAtMs, name === undefined ? undefined : healthcheckOf(name));
  };
  const supervisor = new RestartSupervisor({
    runtime,
    index,
    locks,
    live,
    state,
    events,
    clock,
    random,
    log,
    wanted,
    onStarted: started,
    onChange: wake,
  });
  const collector = createCollector(options, () => core);
  const tags = createTagWatcher(options, () => core);
  const puller = createPuller(options, () => core);
  const view = createHostView({ ...options, healthcheckOf, index, health, supervisor });
  const core: Core = {
    ...options,
    enforcement,
    rollouts,
    index,
    locks,
    health,
    healthcheckOf,
    supervisor,
    puller,
    collector,
    tags,
    view,
    started,
    wake: () => {},
    close() {
      puller.close();
      supervisor.close();
      health.close();
    },
  };
  return core;
}

function createCollector(options: CoreOptions, core: () => Core): ImageCollector {
  const { runtime, clock, log, events } = options;
  return new ImageCollector({
    images: runtime.images,
    needed: () => neededImages(core()),
    settings: () => options.settings().imageCollection,
    clock,
    log,
    onRemoved: (removal) => events.record(removalEvent(removal)),
  });
}

function createTagWatcher(options: CoreOptions, core: () => Core): TagWatcher {
  const { runtime, clock, random, events } = options;
  const watchers = (reference: string) =>
    (core().enforcement.desired()?.apps ?? []).filter(({ services }) =>
      services.some(({ image, watchTagMs }) => watchTagMs !== undefined && image === reference),
    );
  return new TagWatcher({
    images: runtime.images,
    clock,
    random,
    watched: () =>
      (core().enforcement.desired()?.apps ?? []).flatMap(({ services }) =>
        services.flatMap(({ image: reference, watchTagMs: everyMs }) =>
          everyMs === undefined ? [] : [{ reference, everyMs }],
        ),
      ),
    onMoved: ({ reference, from, to }) => {
      const message = `${reference} moved to ${to}`;
      events.record({ kind: "image.moved", target: reference, message, fields: { from, to } });
      core().enforcement.reconsider(watchers(reference).map(({ name }) => name));
      core().wake("a tag moved");
    },
    onFailed: (reference, why) => {
      const message = `cannot see whether ${reference} moved: ${why}`;
      events.record({ kind: "image.watch-failed", target: reference, message });
    },
  });
}

function createPuller(options: CoreOptions, core: () => Core): ImagePuller {
  const { runtime, clock, random, meters, events, log } = options;
  return new ImagePuller({
    images: runtime.images,
    clock,
    random,
    onWait: (reference, { host, untilMs }) => {
      const until = new Date(untilMs).toISOString();
      const message = `${host} limits the rate of requests: waiting until ${until}`;
      events.record({ kind: "image.pull-waiting", target: reference, message });
    },
    onResult: (result) => {
      const { reference, durationMs, bytes, error, isNews } = result;
      meters.step("pull-image", error === undefined ? "done" : "retryable", durationMs);
      meters.pull(error === undefined ? "pulled" : "failed", durationMs);
      const kind = error === undefined ? "image.pulled" : "image.pull-failed";
      const message = error === undefined ? `${reference} was pulled` : describeError(error);
      events.record({ kind, target: reference, message, fields: { durationMs, bytes } });
      if (error === undefined)
        log.info("image was pulled", { image: reference, durationMs, bytes });
      else if (isNews)
        log.warn("image cannot be pulled, trying again", { image: reference, error });
      core().wake("image pulled");
      void makeRoom(core(), result);
    },
  });
}

/**
 * A pull that found no space is tried again at once when some could be made: once, because what is collected after a
 * second failure may be no more than what the pull itself left.
 */
async function makeRoom(core: Core, { reference, error, failures }: PullResult): Promise<void> {
  if (error === undefined) return;
  try {
    if (!(await core.collector.makeRoomFor(error)) || failures > 1) return;
    core.puller.retryNow(reference);
    core.wake("images were collected");
  } catch (cause) {
    core.log.warn("no room was made for a pull", { error: cause });
  }
}

function healthEvent(
  { containerId, from, to, output }: HealthChange,
  index: ContainerIndex,
): NewEvent {
  const container = index.find(containerId);
  const target = container?.name ?? containerId;
  return {
    kind: "container.health",
    target,
    message: `${target} is ${to}`,
    fields: { from, to, output },
    ...(container === undefined ? {} : { app: container.app }),
  };
}
