/** Metrics of containers, under the names that cAdvisor gives them, read from cgroups when they are asked for. */
import { availableParallelism, totalmem } from "node:os";
import type { ContainerSample, ContainerTarget } from "./container-target.ts";
import { type LentText, SharedText } from "./lent-text.ts";
import { MetricsInline } from "./metrics-inline.ts";
import { MetricsThread } from "./metrics-thread.ts";
import type { MetricsAnswer, MetricsQuestion } from "./worker-messages.ts";

export type ContainerMetricsOptions = {
  /**
   * Up to this many containers are read on the caller's thread (some 0.05 ms each), more on a thread of their own,
   * which takes 12 MiB. Default 40.
   */
  readonly inlineContainersMax?: number;
  /** Told when the thread has to be started anew. */
  readonly onRestart?: (cause: Error) => void;
};

export type ContainerMetrics = {
  /**
   * All containers there are: what is no longer among them is forgotten and its descriptors are closed. An object that
   * was given before is taken for unchanged.
   */
  setTargets(targets: readonly ContainerTarget[]): void;
  /** Reads all of them and gives the Prometheus text (format 0.0.4). Calls at the same time share one reading. */
  render(): Promise<LentText>;
  /** Figures of each container that runs, by `containerId`. */
  readStats(): Promise<ReadonlyMap<string, ContainerSample>>;
  /** Ends the thread and closes all descriptors. */
  close(): Promise<void>;
};

const inlineContainersMaxDefault = 40;

/** Opens and starts nothing before the first question. A thread that dies is replaced once for each question. */
export function createContainerMetrics(options: ContainerMetricsOptions = {}): ContainerMetrics {
  return new MetricsOfContainers(options);
}

class MetricsOfContainers implements ContainerMetrics {
  readonly #options: ContainerMetricsOptions;
  readonly #machine = { memoryBytes: totalmem(), cpuCores: availableParallelism() };
  #reader: MetricsThread | MetricsInline | undefined;
  #isClosed = false;
  #targets: readonly ContainerTarget[] = [];
  /** By containerId. */
  #wanted = new Map<string, ContainerTarget>();
  /** What the present reader has been told. */
  #told = new Map<string, ContainerTarget>();
  readonly #texts = new SharedText(() => this.#render());
  /** The memory of the last text, given back. */
  #spare: SharedArrayBuffer | undefined;

  constructor(options: ContainerMetricsOptions) {
    this.#options = options;
  }

  setTargets(targets: readonly ContainerTarget[]): void {
    if (targets === this.#targets) return;
    this.#targets = targets;
    this.#wanted = new Map(targets.map((target) => [target.containerId, target]));
  }

  render(): Promise<LentText> {
    return this.#texts.take();
  }

  async readStats(): Promise<ReadonlyMap<string, ContainerSample>> {
    const answer = await this.#ask("sample");
    if (answer.kind !== "sampled") throw new Error(`cannot read metrics: got ${answer.kind}`);
    return answer.samples;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#reader?.close();
  }

  async #render(): Promise<LentText> {
    const answer = await this.#ask("render");
    if (answer.kind !== "rendered") throw new Error(`cannot render metrics: got ${answer.kind}`);
    const { text } = answer;
    return {
      parts: [text],
      release: () => {
        this.#spare = text.buffer;
      },
    };
  }

  async #ask(kind: MetricsQuestion["kind"]): Promise<MetricsAnswer> {
    const reader = this.#livingReader();
    try {
      return await reader.ask(this.#question(kind));
    } catch (error) {
      if (!reader.hasEnded || this.#isClosed) throw error;
      this.#options.onRestart?.(error instanceof Error ? error : new Error(String(error)));
      return this.#livingReader().ask(this.#question(kind));
    }
  }

  /** A thread that was needed once stays. */
  #livingReader(): MetricsThread | MetricsInline {
    if (this.#isClosed) throw new Error("cannot read metrics because they were closed");
    const max = this.#options.inlineContainersMax ?? inlineContainersMaxDefault;
    const wantsThread = this.#wanted.size > max;
    const present = this.#reader;
    if (present && !present.hasEnded && (present.usesThread || !wantsThread)) return present;
    // What ended has nothing left to close, and reading inline leaves nothing under way.
    if (present && !present.hasEnded) void present.close();
    this.#reader = wantsThread
      ? new MetricsThread({ machine: this.#machine })
      : new MetricsInline(this.#machine);
    this.#told = new Map();
    return this.#reader;
  }

  /** Messages arrive in order, so what was sent counts as told. */
  #question(kind: MetricsQuestion["kind"]): Omit<MetricsQuestion, "id"> {
    const [wanted, told] = [this.#wanted, this.#told];
    this.#told = wanted;
    const put =
      wanted === told
        ? []
        : [...wanted].flatMap(([id, target]) =>
            told.get(id) === target ? [] : [JSON.stringify(target)],
          );
    const remove = wanted === told ? [] : [...told.keys()].filter((id) => !wanted.has(id));
    const into = kind === "render" ? this.#spare : undefined;
    this.#spare = undefined;
    return { kind, put, remove, ...(into === undefined ? {} : { into }) };
  }
}
