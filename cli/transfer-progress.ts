/** What a pull or a push has done so far, out of the steps that the agent tells. */
import { formatAge, formatBytes } from "./figures.ts";

export type TransferStep = {
  readonly layer?: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly phase: string;
};

/** Speed is that of the last seconds, not of the whole time. */
const WINDOW_MS = 5000;

export class TransferProgress {
  readonly #layers = new Map<string, TransferStep>();
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  constructor(startedMs: number) {
    this.#samples.push({ atMs: startedMs, bytes: 0 });
  }

  /** `download 12.0 MiB of 48.1 MiB, 8.3 MiB/s, 4s left`, over all layers. */
  note(step: TransferStep, nowMs: number): string {
    this.#layers.set(step.layer ?? "", step);
    const layers = [...this.#layers.values()];
    const bytes = layers.reduce((sum, { bytesDone }) => sum + bytesDone, 0);
    const bytesTotal = layers.reduce((sum, layer) => sum + layer.bytesTotal, 0);
    if (bytesTotal === 0) return step.phase;
    const perSecond = this.#speed(bytes, nowMs);
    const left = bytesTotal - bytes;
    const eta = perSecond > 0 && left > 0 ? `, ${formatAge((left / perSecond) * 1000)} left` : "";
    return `${step.phase} ${formatBytes(bytes)} of ${formatBytes(bytesTotal)}, ${formatBytes(Math.round(perSecond))}/s${eta}`;
  }

  #speed(bytes: number, nowMs: number): number {
    const samples = this.#samples;
    samples.push({ atMs: nowMs, bytes });
    while (samples.length > 2 && nowMs - (samples[1]?.atMs ?? nowMs) > WINDOW_MS) samples.shift();
    const first = samples[0] ?? { atMs: nowMs, bytes: 0 };
    return Math.max(0, bytes - first.bytes) / Math.max(0.001, (nowMs - first.atMs) / 1000);
  }
}
