type Job<T, P> = {
  readonly controller: AbortController;
  readonly promise: Promise<T>;
  readonly listeners: Set<(progress: P) => void>;
  waiters: number;
};

/**
 * Work that several callers may want at once is done once. It goes on while anybody waits for it and is aborted when
 * the last caller has given up.
 */
export class SharedJobs<T, P> {
  readonly #jobs = new Map<string, Job<T, P>>();

  /**
   * Joins the running job of this key or starts `work`. An abort ends the caller's wait at once,
   * or once the work has been undone when nobody else waits.
   */
  async run(
    key: string,
    caller: { readonly abort: AbortSignal; readonly onProgress?: (progress: P) => void },
    work: (abort: AbortSignal, report: (progress: P) => void) => Promise<T>,
  ): Promise<T> {
    caller.abort.throwIfAborted();
    const job = this.#jobs.get(key) ?? this.#start(key, work);
    const listener = caller.onProgress;
    if (listener !== undefined) job.listeners.add(listener);
    job.waiters += 1;
    try {
      return await untilAborted(job.promise, caller.abort);
    } finally {
      if (listener !== undefined) job.listeners.delete(listener);
      job.waiters -= 1;
      if (job.waiters === 0) await this.#abandon(key, job);
    }
  }

  #start(
    key: string,
    work: (abort: AbortSignal, report: (progress: P) => void) => Promise<T>,
  ): Job<T, P> {
    const controller = new AbortController();
    const listeners = new Set<(progress: P) => void>();
    const report = (progress: P): void => {
      for (const listener of listeners) listener(progress);
    };
    const promise = work(controller.signal, report);
    const job: Job<T, P> = { controller, promise, listeners, waiters: 0 };
    this.#jobs.set(key, job);
    const forget = (): void => {
      if (this.#jobs.get(key) === job) this.#jobs.delete(key);
    };
    promise.then(forget, forget);
    return job;
  }

  /** Later callers start afresh instead of joining work that is being torn down. Waits until it has been undone. */
  async #abandon(key: string, job: Job<T, P>): Promise<void> {
    if (this.#jobs.get(key) === job) this.#jobs.delete(key);
    job.controller.abort(new DOMException("nobody waits for it any more", "AbortError"));
    await job.promise.catch(() => {});
  }
}

function untilAborted<T>(promise: Promise<T>, abort: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abort.reason);
    abort.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => abort.removeEventListener("abort", onAbort));
  });
}
