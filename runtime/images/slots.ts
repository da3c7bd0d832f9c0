/** A bounded number of things at once, first come, first served. */
export class Slots {
  #free: number;
  readonly #queue: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Runs `work` once a slot is free. An abort while waiting gives the place up. */
  async use<T>(abort: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#take(abort);
    try {
      return await work();
    } finally {
      this.#give();
    }
  }

  async #take(abort: AbortSignal): Promise<void> {
    abort.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const start = (): void => {
        abort.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#queue.splice(this.#queue.indexOf(start), 1);
        reject(abort.reason);
      };
      abort.addEventListener("abort", leave, { once: true });
      this.#queue.push(start);
    });
  }

  #give(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
