import type { Healthcheck } from "../../manifests/desired-state.ts";
import type { Health, Log } from "../../runtime/runtime.ts";
import type { Clock } from "../clock.ts";
import {
  type HealthState,
  healthStarting,
  isProbed,
  nextHealth,
  nextProbeInMs,
} from "./health-state.ts";
import { type ProbedRuntime, runProbe } from "./probe.ts";

export type HealthChange = {
  readonly containerId: string;
  readonly from: Health;
  readonly to: Health;
  readonly output: string;
};

type Watch = {
  readonly startedAtMs: number;
  readonly checkKey: string;
  readonly stop: AbortController;
  state: HealthState;
  output: string;
  checks: CheckCount;
};

/** Of a run, from its first good check on. */
export type CheckCount = { readonly made: number; readonly failed: number };

const noChecks: CheckCount = { made: 0, failed: 0 };

/** Probes every running container that has a healthcheck, each at its own pace. */
export class HealthMonitor {
  readonly #watches = new Map<string, Watch>();
  readonly #options: {
    readonly runtime: ProbedRuntime;
    readonly clock: Clock;
    readonly log: Log;
    readonly onChange: (change: HealthChange) => void;
    /** After every probe that finds it so. */
    readonly onUnhealthy: (containerId: string) => void;
  };

  constructor(options: {
    readonly runtime: ProbedRuntime;
    readonly clock: Clock;
    readonly log: Log;
    readonly onChange: (change: HealthChange) => void;
    readonly onUnhealthy: (containerId: string) => void;
  }) {
    this.#options = options;
  }

  /** Idempotent for the same start and the same check; a new start begins anew. */
  watch(containerId: string, startedAtMs: number, check: Healthcheck | undefined): void {
    const checkKey = JSON.stringify(check ?? null);
    const known = this.#watches.get(containerId);
    if (known?.startedAtMs === startedAtMs && known.checkKey === checkKey) return;
    this.unwatch(containerId);
    if (!isProbed(check)) return;
    const stop = new AbortController();
    const watch: Watch = {
      startedAtMs,
      checkKey,
      stop,
      state: healthStarting,
      output: "",
      checks: noChecks,
    };
    this.#watches.set(containerId, watch);
    void this.#probeLoop(containerId, watch, check);
  }

  unwatch(containerId: string): void {
    this.#watches.get(containerId)?.stop.abort();
    this.#watches.delete(containerId);
  }

  health(containerId: string): Health {
    return this.#watches.get(containerId)?.state.health ?? "none";
  }

  /** None where nothing is checked. */
  checks(containerId: string): CheckCount {
    return this.#watches.get(containerId)?.checks ?? noChecks;
  }

  /** What the last probe wrote. */
  output(containerId: string): string {
    return this.#watches.get(containerId)?.output ?? "";
  }

  close(): void {
    for (const id of this.#watches.keys()) this.unwatch(id);
  }

  async #probeLoop(containerId: string, watch: Watch, check: Healthcheck): Promise<void> {
    const { clock, runtime, log, onChange, onUnhealthy } = this.#options;
    const abort = watch.stop.signal;
    try {
      while (!abort.aborted) {
        const sinceStartMs = clock.now() - watch.startedAtMs;
        await clock.sleep(nextProbeInMs(watch.state, sinceStartMs, check), abort);
        const result = await runProbe({ runtime, containerId, check, clock, abort });
        if (abort.aborted) return;
        const from = watch.state.health;
        watch.output = result.output;
        const { made, failed } = watch.checks;
        if (from !== "starting")
          watch.checks = { made: made + 1, failed: result.ok ? failed : failed + 1 };
        watch.state = nextHealth({
          state: watch.state,
          ok: result.ok,
          sinceStartMs: clock.now() - watch.startedAtMs,
          check,
        });
        const to = watch.state.health;
        if (from !== to) onChange({ containerId, from, to, output: result.output });
        if (to === "unhealthy") onUnhealthy(containerId);
      }
    } catch (error) {
      if (!abort.aborted) log.error("health probing ended", { container: containerId, error });
    }
  }
}
