/** The progress line of a pull or a push. */
import {
  TransferMeter,
  type TransferStep,
  type TransferSummary,
} from "../agent/images/transfer-meter.ts";
import { formatAge, formatBytes } from "./figures.ts";

export class TransferProgress {
  readonly #meter = new TransferMeter();

  /** `download 12.0 MiB of 48.1 MiB, 8.3 MiB/s, 4s left`, over all layers; or whom it waits for. */
  note(step: TransferStep, nowMs: number): string {
    this.#meter.note(step, nowMs);
    return describeTransfer(this.#meter.summary());
  }
}

export function describeTransfer(summary: TransferSummary): string {
  const { phase, bytesDone, bytesTotal, bytesPerSecond, msLeft, waiting } = summary;
  if (waiting !== null) {
    return `${waiting.host} limits the rate of requests: waiting until ${new Date(waiting.untilMs).toISOString()}`;
  }
  if (bytesTotal === 0) return phase;
  const speed = bytesPerSecond > 0 ? `, ${formatBytes(bytesPerSecond)}/s` : "";
  const left = msLeft === null ? "" : `, ${formatAge(msLeft)} left`;
  return `${phase} ${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}${speed}${left}`;
}
