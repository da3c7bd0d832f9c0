import { spaceMissing } from "../../runtime/images/disk-space.ts";
import type { CollectOptions, ImageRemoval, ImageStore } from "../../runtime/images/image-store.ts";
import type { Log } from "../../runtime/runtime.ts";
import type { Clock } from "../clock.ts";
import { describeError } from "../log.ts";
import type { ImageCollection } from "../settings/settings.ts";

type CollectorOptions = {
  readonly images: ImageStore;
  /** The images that something needs, asked again right before removal. */
  readonly needed: () => Promise<() => ReadonlyMap<string, string>>;
  readonly settings: () => ImageCollection;
  readonly clock: Clock;
  readonly log: Log;
  readonly onRemoved: (removal: ImageRemoval) => void;
};

const checkEveryMs = 300_000;

/**
 * Removes images by age and when the disk gets full: only those that nothing needs and that a registry can give again.
 * What was used last goes last.
 */
export class ImageCollector {
  readonly #options: CollectorOptions;
  #underWay: Promise<number> = Promise.resolve(0);
  #isFull = false;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** Looks every five minutes, until the signal; never rejects. */
  async run(abort: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!abort.aborted) {
      await this.check().catch((error: unknown) => {
        log.warn("images were not collected", { error: describeError(error) });
      });
      await clock.sleep(checkEveryMs, abort).catch(() => {});
    }
    await this.#underWay.catch(() => {});
  }

  /** One look: age first, then the watermarks. Resolves with the bytes that were freed. */
  check(): Promise<number> {
    return this.#inTurn(async () => {
      const { images, needed, settings, clock } = this.#options;
      const { highPercent, lowPercent, minAgeMs, maxAgeMs } = settings();
      images.touch((await needed())().keys());
      const nowMs = clock.now();
      let freed =
        maxAgeMs === undefined ? 0 : await this.#collect({ unusedSinceMs: nowMs - maxAgeMs });
      const { totalBytes, freeBytes } = await images.disk();
      const usedBytes = totalBytes - freeBytes;
      const isFull = usedBytes > (totalBytes * highPercent) / 100;
      if (isFull) {
        const bytesWanted = Math.ceil(usedBytes - (totalBytes * lowPercent) / 100);
        const got = await this.#collect({ unusedSinceMs: nowMs - minAgeMs, bytesWanted });
        this.#tell({ usedBytes, totalBytes, bytesWanted, got });
        freed += got;
      }
      this.#isFull = isFull;
      return freed;
    });
  }

  /** After something failed: true when it failed for want of space, and some was made. */
  async makeRoomFor(error: unknown): Promise<boolean> {
    const missing = spaceMissing(error);
    if (missing === undefined) return false;
    const { settings, clock } = this.#options;
    const unusedSinceMs = clock.now() - settings().minAgeMs;
    const wanted = missing.bytes === undefined ? {} : { bytesWanted: missing.bytes };
    const freed = await this.#inTurn(() => this.#collect({ unusedSinceMs, ...wanted }));
    return freed > 0;
  }

  async #collect(options: CollectOptions): Promise<number> {
    const { images, needed, onRemoved } = this.#options;
    const names = await needed();
    const removed = await images.collectGarbage(() => new Set(names().keys()), {
      ...options,
      fromRegistries: true,
    });
    for (const removal of removed.images) onRemoved(removal);
    return removed.bytes;
  }

  /** Once for each time that the disk gets full. */
  #tell(figures: {
    readonly usedBytes: number;
    readonly totalBytes: number;
    readonly bytesWanted: number;
    readonly got: number;
  }): void {
    const { got, bytesWanted } = figures;
    if (got >= bytesWanted) this.#options.log.info("images were collected", figures);
    else if (!this.#isFull)
      this.#options.log.warn(
        "the disk is above the high watermark and images that nothing needs do not bring it below the low one",
        figures,
      );
  }

  #inTurn(work: () => Promise<number>): Promise<number> {
    this.#underWay = this.#underWay.then(work, work);
    return this.#underWay;
  }
}
