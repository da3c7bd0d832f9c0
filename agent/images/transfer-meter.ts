/** What a pull or a push has done so far, out of the steps that it tells. */

export type TransferStep = {
  readonly layer?: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly phase: string;
  /** The registry asked for a pause. */
  readonly waiting?: { readonly host: string; readonly untilMs: number };
};

export type TransferSummary = {
  readonly phase: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** Over the last seconds. */
  readonly bytesPerSecond: number;
  /** Null while it cannot be said. */
  readonly msLeft: number | null;
  readonly waiting: { readonly host: string; readonly untilMs: number } | null;
};

const WINDOW_MS = 5000;

export class TransferMeter {
  readonly #layers = new Map<string, TransferStep>();
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];
  #last: TransferStep | undefined;

  /** `nowMs` may be of any clock that does not jump, the same at each call. */
  note(step: TransferStep, nowMs: number): void {
    this.#last = step;
    if (step.layer === undefined) return;
    this.#layers.set(step.layer, step);
    const samples = this.#samples;
    samples.push({ atMs: nowMs, bytes: this.#sum("bytesDone") });
    while (samples.length > 2 && nowMs - (samples[1]?.atMs ?? nowMs) > WINDOW_MS) samples.shift();
  }

  summary(): TransferSummary {
    const bytesDone = this.#sum("bytesDone");
    const bytesTotal = this.#sum("bytesTotal");
    const bytesPerSecond = this.#speed();
    const left = bytesTotal - bytesDone;
    return {
      phase: this.#last?.phase ?? "resolve",
      bytesDone,
      bytesTotal,
      bytesPerSecond,
      msLeft: bytesPerSecond > 0 && left > 0 ? Math.round((left / bytesPerSecond) * 1000) : null,
      waiting: this.#last?.waiting ?? null,
    };
  }

  #sum(field: "bytesDone" | "bytesTotal"): number {
    let sum = 0;
    for (const step of this.#layers.values()) sum += step[field];
    return sum;
  }

  #speed(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    const bytes = Math.max(0, last.bytes - first.bytes);
    return Math.round(bytes / ((last.atMs - first.atMs) / 1000));
  }
}
