/**
 * What can be asked of a running agent. The HTTP API (`agent/api`) carries these calls over the agent's socket, and
 * `cli` prints the answers: the field names are what scripts rely on.
 */
import type { LentText } from "../../metrics/lent-text.ts";
import type { ExecSpec, PortBinding } from "../../runtime/container-spec.ts";
import type { CopySpec } from "../../runtime/program/copy-spec.ts";
import type { Health, LogLine, ProcessSession } from "../../runtime/runtime.ts";
import type { ImageControl } from "./image-control.ts";
import type { ResourceControl } from "./resource-control.ts";
import type { RolloutControl } from "./rollout-control.ts";
import type { RunControl } from "./run-control.ts";

export type FieldChange = { readonly field: string; readonly from: unknown; readonly to: unknown };

export type PlanReport = {
  readonly revision: string;
  readonly steps: readonly {
    readonly kind: string;
    readonly target: string;
    readonly reason: readonly FieldChange[];
  }[];
  /** Apps that stay at an earlier revision because this one failed, or was turned away. */
  readonly heldBack: readonly {
    readonly app: string;
    /** What holds; null: the app is not here. */
    readonly runs: string | null;
    readonly reason: string;
  }[];
};

export type AppState = "running" | "progressing" | "degraded" | "failed" | "suspended" | "removed";
export type Verdict = "pending" | "healthy" | "failed" | "rolled-back";

export type StatusReport = {
  readonly host: string;
  readonly instance: string;
  readonly source: {
    readonly url: string;
    readonly ref: string;
    /** ISO 8601; null before the first fetch. */
    readonly fetchedAt: string | null;
    readonly error: string | null;
    /** ISO 8601: since when the source cannot be reached; null while it can. */
    readonly unreachableSince: string | null;
  };
  readonly wanted: string | null;
  readonly running: string | null;
  readonly quarantined: readonly string[];
  /** What an operator leaves alone, app by app or at once. */
  readonly suspended: readonly {
    /** null: every app. */
    readonly app: string | null;
    /** ISO 8601; null: it was suspended under an older berth, and nothing tells when. */
    readonly since: string | null;
  }[];
  /** Images on their way for what is wanted. */
  readonly pulls: readonly {
    readonly reference: string;
    readonly phase: string;
    readonly bytesDone: number;
    readonly bytesTotal: number;
    readonly bytesPerSecond: number;
    readonly msLeft: number | null;
    /** The registry asked for a pause until then. */
    readonly waiting: { readonly host: string; readonly untilMs: number } | null;
  }[];
  /** Errors of the newest commit when it is not valid: `file:line:column: message`. */
  readonly errors: readonly string[];
  readonly apps: readonly {
    readonly name: string;
    readonly state: AppState;
    readonly verdict: Verdict;
    readonly revision: string;
    readonly reason: string;
    /** Names of containers that end again and again soon after each start. */
    readonly crashLooping: readonly string[];
    readonly services: readonly {
      readonly name: string;
      readonly replicas: number;
      readonly ready: number;
    }[];
  }[];
};

export type PsEntry = {
  readonly id: string;
  readonly name: string;
  readonly app: string;
  readonly service: string;
  readonly replica: number;
  readonly image: string;
  readonly imageDigest: string;
  readonly state: "created" | "running" | "paused" | "restarting" | "exited" | "dead";
  readonly exitCode: number | null;
  readonly health: Health;
  readonly restarts: number;
  readonly ports: readonly PortBinding[];
  readonly pid: number | null;
  readonly ip: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly revision: string;
  /** True when an operator stopped, started or killed it by hand since the last revision. */
  readonly byHand: boolean;
};

export type SyncReport = {
  readonly revision: string | null;
  readonly verdict: Verdict;
  readonly reason: string;
  /** What an operator did by hand and this sync therefore left alone. */
  readonly leftAlone: readonly string[];
};

export type AgentEvent = {
  readonly id: number;
  /** ISO 8601. */
  readonly time: string;
  /** `source.fetched`, `revision.accepted`, `step.done`, `container.exited`, … */
  readonly kind: string;
  readonly app: string | null;
  /** Container name, image reference, network, volume or sha. */
  readonly target: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
};

export type ContainerStats = {
  readonly id: string;
  readonly name: string;
  /** Percent of one CPU over the last sample. */
  readonly cpuPercent: number;
  readonly memoryBytes: number;
  /** null: no limit. */
  readonly memoryBytesMax: number | null;
  readonly pids: number;
  readonly networkReceiveBytes: number;
  readonly networkTransmitBytes: number;
  readonly blockReadBytes: number;
  readonly blockWriteBytes: number;
};

/** `code` and `signal` are both null when the status was lost, or when it never ran. */
export type ContainerEnd = { readonly code: number | null; readonly signal: number | null };

/** One process of a container. */
export type TopEntry = {
  /** On the host. */
  readonly pid: number;
  /** In the container. */
  readonly containerPid: number;
  /** As the container sees it; null for an id that it has not. */
  readonly uid: number | null;
  readonly state: string;
  readonly memoryBytes: number;
  readonly cpuMs: number;
  readonly command: string;
};

/** NAME of a container: an id prefix, `app-service-N`, or `app/service` where only one replica runs. */
export type ContainerName = string;

type Others = ImageControl & ResourceControl & RolloutControl & RunControl;

/** Every method that takes a name throws an error saying what exists when nothing, or more than one, matches. */
export type Control = Others & {
  status(): Promise<StatusReport>;
  plan(abort: AbortSignal): Promise<PlanReport>;
  /** Fetches, reconciles and waits for the verdict. With `allowRewrite` the ref may have moved anywhere this once. */
  sync(abort: AbortSignal, options?: { readonly allowRewrite?: boolean }): Promise<SyncReport>;
  ps(options: { readonly all: boolean }): Promise<readonly PsEntry[]>;
  inspect(name: string): Promise<unknown>;
  stop(name: ContainerName, options: { readonly graceMs?: number }): Promise<void>;
  start(name: ContainerName): Promise<void>;
  restart(name: ContainerName, options: { readonly graceMs?: number }): Promise<void>;
  kill(name: ContainerName, signal: string): Promise<void>;
  exec(name: ContainerName, spec: ExecSpec): Promise<ProcessSession>;
  /** The streams of the first process; closing the session leaves it running. */
  attach(
    name: ContainerName,
    options: { readonly stdin: boolean },
  ): Promise<{ readonly session: ProcessSession; readonly tty: boolean }>;
  /** Copies between the container, running or not, and the session's streams. */
  copy(name: ContainerName, spec: CopySpec): Promise<ProcessSession>;
  pause(name: ContainerName): Promise<void>;
  unpause(name: ContainerName): Promise<void>;
  /** Resolves with how the container's run ended; at once when none is under way. */
  wait(name: ContainerName, abort: AbortSignal): Promise<ContainerEnd>;
  top(name: ContainerName): Promise<readonly TopEntry[]>;
  logs(
    name: ContainerName,
    options: {
      readonly tail?: number;
      readonly sinceMs?: number;
      readonly follow: boolean;
      readonly abort: AbortSignal;
    },
  ): Promise<AsyncIterable<LogLine>>;
  /** Samples every `intervalMs` until the signal; the first sample comes after one interval. */
  stats(options: {
    readonly intervalMs: number;
    /** Of these alone. */
    readonly names?: readonly string[];
    readonly abort: AbortSignal;
  }): AsyncIterable<readonly ContainerStats[]>;
  /** Recorded events, oldest first, then with `follow` live ones. */
  events(options: {
    readonly follow: boolean;
    readonly abort: AbortSignal;
  }): AsyncIterable<AgentEvent>;
  /** Stops and removes everything the instance owns, then ends the agent. */
  down(options: {
    readonly volumes: boolean;
    readonly strays: boolean;
    readonly abort: AbortSignal;
  }): Promise<void>;
  /** Prometheus text exposition, complete. */
  metrics(): Promise<LentText>;
  /** True when the wanted revision runs and is healthy. */
  ready(): Promise<boolean>;
};
