/** The life of the metrics thread: started by the first question, started again after it died. */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { MetricsAnswer, MetricsQuestion, MetricsWorkerData } from "./worker-messages.ts";

type Waiting = {
  readonly resolve: (answer: MetricsAnswer) => void;
  readonly reject: (error: Error) => void;
};

const answerTimeoutMs = 10_000;

/** One thread from its start to its end; after that every question fails. */
export class MetricsThread {
  readonly usesThread = true;
  readonly #worker: Worker;
  readonly #ready: Promise<unknown>;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #ended: Error | undefined;

  constructor(workerData: MetricsWorkerData) {
    // Beside this file, as source or built.
    const file = `./metrics-worker${extname(import.meta.filename)}`;
    this.#worker = new Worker(new URL(file, import.meta.url), {
      workerData,
      name: "berth-metrics",
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    this.#worker.on("message", (answer: MetricsAnswer) => this.#settle(answer));
    this.#worker.on("error", (cause: Error) => this.#fail(cause));
    this.#worker.on("exit", () => this.#fail(undefined));
    this.#ready = this.#waitFor(0);
    // A question that waits for the start reports its failure.
    this.#ready.catch(() => {});
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** Fails when the thread ends first, or does not answer within ten seconds: it is ended then. */
  async ask(question: Omit<MetricsQuestion, "id">): Promise<MetricsAnswer> {
    await this.#ready;
    const id = ++this.#lastId;
    const answer = this.#waitFor(id);
    const message: MetricsQuestion = { ...question, id };
    this.#worker.postMessage(message, []);
    return answer;
  }

  async close(): Promise<void> {
    this.#fail(new Error("the metrics thread was closed"));
    await this.#worker.terminate();
  }

  /** Keeps the process alive only while an answer is outstanding. */
  #waitFor(id: number): Promise<MetricsAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<MetricsAnswer>();
    if (this.#ended) reject(this.#ended);
    else {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
    }
    const timer = setTimeout(() => {
      this.#fail(new Error(`the metrics thread did not answer within ${answerTimeoutMs} ms`));
      void this.#worker.terminate();
    }, answerTimeoutMs);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#worker.unref();
    });
  }

  #settle(answer: MetricsAnswer): void {
    const waiting = this.#waiting.get(answer.kind === "ready" ? 0 : answer.id);
    if (answer.kind === "failed") waiting?.reject(new Error(answer.message));
    else waiting?.resolve(answer);
  }

  #fail(cause: Error | undefined): void {
    this.#ended ??= new Error("cannot read metrics because the metrics thread ended", { cause });
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
  }
}
