import type {
  ContainerStatus,
  Health,
  KernelDrift,
  NetworkStatus,
  Observation,
  VolumeStatus,
} from "../runtime/runtime.ts";
import { appLabel, readContainerLabels } from "./container-labels.ts";
import type { RestartRecord } from "./store/live-store.ts";
import type { ByHandMark } from "./store/state-store.ts";

export type ActualContainer = {
  readonly id: string;
  readonly name: string;
  readonly app: string;
  readonly service: string;
  readonly replica: number;
  readonly specDigest: string;
  readonly revision: string;
  readonly dependsOn: readonly string[];
  readonly stopGraceMs: number;
  readonly status: ContainerStatus;
  readonly health: Health;
  readonly restarts: RestartRecord;
  /** The restart policy brings it back by itself; nobody else should. */
  readonly restartPending: boolean;
  /** It ran when the machine went down. */
  readonly lostAtBoot: boolean;
  /** The clock was set back after its start: it counts as up. */
  readonly startedEarly: boolean;
};

export type ActualNetwork = NetworkStatus & { readonly app: string };

/** What is there: the kernel's truth plus what only the agent remembers. */
export type ActualState = {
  readonly containers: readonly ActualContainer[];
  readonly networks: readonly ActualNetwork[];
  readonly volumes: readonly VolumeStatus[];
  readonly drift: readonly KernelDrift[];
  /** By container name. */
  readonly byHand: ReadonlyMap<string, ByHandMark>;
  /** Container name -> digest of the spec that ran to its end and is not to run again. */
  readonly completed: ReadonlyMap<string, string>;
};

/** What the agent remembers of containers besides what the kernel shows. */
export type Memory = {
  readonly health: (containerId: string) => Health;
  readonly restarts: (containerId: string) => RestartRecord;
  readonly restartPending: (containerId: string) => boolean;
  readonly lostAtBoot: ReadonlySet<string>;
  readonly startedEarly: (containerId: string) => boolean;
  readonly byHand: ReadonlyMap<string, ByHandMark>;
  readonly completed: ReadonlyMap<string, string>;
};

/** Containers and networks without the agent's labels are not ours: they are left out and so never touched. */
export function actualState(observation: Observation, memory: Memory): ActualState {
  const containers: ActualContainer[] = [];
  for (const status of observation.containers) {
    const identity = readContainerLabels(status.spec.labels);
    if (identity === undefined) continue;
    const { id, name } = status.spec;
    containers.push({
      id,
      name,
      ...identity,
      status,
      health: memory.health(id),
      restarts: memory.restarts(id),
      restartPending: memory.restartPending(id),
      lostAtBoot: memory.lostAtBoot.has(id),
      startedEarly: memory.startedEarly(id),
    });
  }
  const networks: ActualNetwork[] = [];
  for (const network of observation.networks) {
    const app = network.labels[appLabel];
    if (app !== undefined) networks.push({ ...network, app });
  }
  return {
    containers,
    networks,
    volumes: observation.volumes,
    drift: observation.drift,
    byHand: memory.byHand,
    completed: memory.completed,
  };
}
