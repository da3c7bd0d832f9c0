import { ImageError } from "../../runtime/images/image-error.ts";
import type { ImageStore, PullProgress } from "../../runtime/images/image-store.ts";
import { backoffMs } from "../backoff.ts";
import type { Clock } from "../clock.ts";
import { describeError } from "../log.ts";
import { TransferMeter, type TransferSummary } from "./transfer-meter.ts";

export type PullState =
  | { readonly kind: "pulling"; readonly meter: TransferMeter }
  | { readonly kind: "failed"; readonly error: string; readonly retryAtMs: number };

export type PullResult = {
  readonly reference: string;
  readonly durationMs: number;
  /** Of the layers, over the network or from the store. */
  readonly bytes: number;
  readonly error?: Error;
  /** False when it failed for the same reason as the time before. */
  readonly isNews: boolean;
  /** How many times in a row it failed by now. */
  readonly failures: number;
};

const parallelMax = 3;

type ImagePullerOptions = {
  readonly images: Pick<ImageStore, "pull">;
  readonly clock: Clock;
  readonly random: () => number;
  /** Called after each pull, good or bad. */
  readonly onResult: (result: PullResult) => void;
  /** Called when a registry asked for a pause. */
  readonly onWait: (
    reference: string,
    waiting: { readonly host: string; readonly untilMs: number },
  ) => void;
};

/** Pulls images beside the loop, so that a slow registry holds up only the apps that wait for it. */
export class ImagePuller {
  readonly #options: ImagePullerOptions;
  readonly #states = new Map<string, PullState>();
  readonly #failures = new Map<string, { readonly count: number; readonly error: string }>();
  /** Pulled since the newest revision came. */
  readonly #pulled = new Set<string>();
  /** Asked for since the round began. */
  readonly #asked = new Set<string>();
  readonly #queue: string[] = [];
  readonly #close = new AbortController();
  #running = 0;

  constructor(options: ImagePullerOptions) {
    this.#options = options;
  }

  /** What was not asked for in the round before is not waited for any more. */
  beginRound(): void {
    for (const [reference, { kind }] of this.#states) {
      if (kind === "failed" && !this.#asked.has(reference)) this.#states.delete(reference);
    }
    this.#asked.clear();
  }

  /** Makes sure that a pull is under way, unless one failed lately; says how it stands. */
  request(reference: string): PullState {
    this.#asked.add(reference);
    const known = this.#states.get(reference);
    if (known?.kind === "pulling") return known;
    if (known?.kind === "failed" && known.retryAtMs > this.#options.clock.now()) return known;
    const state: PullState = { kind: "pulling", meter: new TransferMeter() };
    this.#states.set(reference, state);
    this.#queue.push(reference);
    this.#next();
    return state;
  }

  /** True when it was pulled since the newest revision came, so that its tag is up to date. */
  isFresh(reference: string): boolean {
    return this.#pulled.has(reference);
  }

  /** The pulls under way. */
  progress(): readonly (TransferSummary & { readonly reference: string })[] {
    return [...this.#states].flatMap(([reference, state]) =>
      state.kind === "pulling" ? [{ reference, ...state.meter.summary() }] : [],
    );
  }

  /** When the first failed pull of this round may be tried again; undefined when none failed. */
  nextRetryAtMs(): number | undefined {
    const times = [...this.#states].flatMap(([reference, state]) =>
      state.kind === "failed" && this.#asked.has(reference) ? [state.retryAtMs] : [],
    );
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** A failed pull need not wait any longer; what it waits when it fails again grows all the same. */
  retryNow(reference: string): void {
    if (this.#states.get(reference)?.kind === "failed") this.#states.delete(reference);
  }

  /** A new revision or an operator's wish: failed pulls may be tried at once, tags may have moved. */
  forgetFailures(): void {
    this.#failures.clear();
    this.#pulled.clear();
    for (const [reference, state] of this.#states) {
      if (state.kind === "failed") this.#states.delete(reference);
    }
  }

  close(): void {
    this.#close.abort(new Error("the agent ends"));
    this.#queue.length = 0;
  }

  #next(): void {
    while (this.#running < parallelMax) {
      const reference = this.#queue.shift();
      if (reference === undefined) return;
      this.#running += 1;
      void this.#pull(reference).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  async #pull(reference: string): Promise<void> {
    const { images, clock, random, onResult, onWait } = this.#options;
    const startedAtMs = clock.now();
    const known = this.#states.get(reference);
    const meter = known?.kind === "pulling" ? known.meter : new TransferMeter();
    const onProgress = (progress: PullProgress) => {
      const isNew = progress.waiting?.untilMs !== meter.summary().waiting?.untilMs;
      meter.note(progress, clock.now());
      if (progress.waiting !== undefined && isNew) onWait(reference, progress.waiting);
    };
    const bytes = () => meter.summary().bytesDone;
    try {
      await images.pull(reference, { abort: this.#close.signal, onProgress });
      this.#states.delete(reference);
      this.#failures.delete(reference);
      this.#pulled.add(reference);
      const durationMs = clock.now() - startedAtMs;
      onResult({ reference, durationMs, bytes: bytes(), failures: 0, isNews: true });
    } catch (cause) {
      if (this.#close.signal.aborted) return;
      const before = this.#failures.get(reference);
      const failures = (before?.count ?? 0) + 1;
      const delay = backoffMs({ failures, firstMs: 5_000, maxMs: 300_000, random: random() });
      const error = cause instanceof Error ? cause : new Error(String(cause));
      // A registry that limits the rate says when it wants to be asked again.
      const askedMs = cause instanceof ImageError ? (cause.retryAtMs ?? 0) : 0;
      const retryAtMs = Math.max(clock.now() + delay, askedMs);
      const why = describeError(error);
      this.#failures.set(reference, { count: failures, error: why });
      this.#states.set(reference, { kind: "failed", error: why, retryAtMs });
      const durationMs = clock.now() - startedAtMs;
      const isNews = before?.error !== why;
      onResult({ reference, durationMs, bytes: bytes(), failures, error, isNews });
    }
  }
}
