/** Metrics of containers, under the names that cAdvisor gives them, read from cgroups by a thread of their own. */
import { availableParallelism, totalmem } from "node:os";
import type { ContainerSample, ContainerTarget } from "./container-target.ts";
import { MetricsThread } from "./metrics-thread.ts";
import type { MetricsAnswer, MetricsQuestion } from "./worker-messages.ts";

export type ContainerMetricsOptions = {
  /** Told when the thread has to be started anew. */
  readonly onRestart?: (cause: Error) => void;
};

export type ContainerMetrics = {
  /** All containers there are: what is no longer among them is forgotten and its descriptors are closed. */
  setTargets(targets: readonly ContainerTarget[]): void;
  /** Reads all of them and gives the Prometheus text (format 0.0.4). Calls at the same time share one reading. */
  render(): Promise<Uint8Array>;
  /** Figures of each container that runs, by `containerId`. */
  readStats(): Promise<ReadonlyMap<string, ContainerSample>>;
  /** Ends the thread and closes all descriptors. */
  close(): Promise<void>;
};

/** Starts nothing before the first question. A thread that dies is replaced once for each question. */
export function createContainerMetrics(options: ContainerMetricsOptions = {}): ContainerMetrics {
  return new ThreadedMetrics(options);
}

class ThreadedMetrics implements ContainerMetrics {
  readonly #options: ContainerMetricsOptions;
  readonly #machine = { memoryBytes: totalmem(), cpuCores: availableParallelism() };
  #thread: MetricsThread | undefined;
  #isClosed = false;
  /** containerId -> target as JSON. */
  #wanted = new Map<string, string>();
  /** What the present thread has been told. */
  #told = new Map<string, string>();
  #rendering: Promise<Uint8Array> | undefined;

  constructor(options: ContainerMetricsOptions) {
    this.#options = options;
  }

  setTargets(targets: readonly ContainerTarget[]): void {
    this.#wanted = new Map(targets.map((target) => [target.containerId, JSON.stringify(target)]));
  }

  render(): Promise<Uint8Array> {
    this.#rendering ??= this.#ask("render")
      .then((answer) => {
        if (answer.kind !== "rendered")
          throw new Error(`cannot render metrics: got ${answer.kind}`);
        return answer.text;
      })
      .finally(() => {
        this.#rendering = undefined;
      });
    return this.#rendering;
  }

  async readStats(): Promise<ReadonlyMap<string, ContainerSample>> {
    const answer = await this.#ask("sample");
    if (answer.kind !== "sampled") throw new Error(`cannot read metrics: got ${answer.kind}`);
    return answer.samples;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#thread?.close();
  }

  async #ask(kind: MetricsQuestion["kind"]): Promise<MetricsAnswer> {
    const thread = this.#livingThread();
    try {
      return await thread.ask({ kind, ...this.#changes() });
    } catch (error) {
      if (!thread.hasEnded || this.#isClosed) throw error;
      this.#options.onRestart?.(error instanceof Error ? error : new Error(String(error)));
      const next = this.#livingThread();
      return next.ask({ kind, ...this.#changes() });
    }
  }

  #livingThread(): MetricsThread {
    if (this.#isClosed) throw new Error("cannot read metrics because they were closed");
    if (!this.#thread || this.#thread.hasEnded) {
      this.#thread = new MetricsThread({ machine: this.#machine });
      this.#told = new Map();
    }
    return this.#thread;
  }

  /** Messages arrive in order, so what was sent counts as told. */
  #changes(): Pick<MetricsQuestion, "put" | "remove"> {
    const put = [...this.#wanted].flatMap(([id, json]) =>
      this.#told.get(id) === json ? [] : [json],
    );
    const remove = [...this.#told.keys()].filter((id) => !this.#wanted.has(id));
    this.#told = this.#wanted;
    return { put, remove };
  }
}
