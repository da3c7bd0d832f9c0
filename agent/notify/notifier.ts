import { createHash } from "node:crypto";
import type { Log } from "../../runtime/runtime.ts";
import { backoffMs } from "../backoff.ts";
import type { Clock } from "../clock.ts";
import type { AgentEvent } from "../control/control.ts";
import { describeError } from "../log.ts";
import type { EventLog } from "../store/event-log.ts";
import { describeEvent, type Notification } from "./notification.ts";
import type { NotificationTarget } from "./notify-config.ts";
import { RefusedError } from "./post.ts";

export type NotifierOptions = {
  readonly events: Pick<EventLog, "recorded" | "subscribe">;
  /** Remembers up to which event each target was told, also over a restart. */
  readonly told: {
    read(target: string): number | undefined;
    write(target: string, id: number): void;
  };
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly host: () => string;
  readonly send: (
    target: NotificationTarget,
    notification: Notification,
    abort: AbortSignal,
  ) => Promise<void>;
};

const firstRetryMs = 5_000;
const retryMsMax = 600_000;
/** What could not be told for so long is no news any more. */
const ageMsMax = 24 * 3_600_000;
const pendingMax = 1_000;

/** Tells the targets what happened, each at its own pace, in order, at least once. */
export class Notifier {
  readonly #options: NotifierOptions;
  #stop: AbortController | undefined;
  #workers: Promise<unknown> = Promise.resolve();

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** From now on these are told. A new one hears of nothing that happened before. */
  async retarget(targets: readonly NotificationTarget[]): Promise<void> {
    await this.close();
    const stop = new AbortController();
    this.#stop = stop;
    this.#workers = Promise.all(targets.map((target) => this.#serve(target, stop.signal)));
  }

  /** What was not told yet is told after the next start. */
  async close(): Promise<void> {
    this.#stop?.abort(new Error("the agent is ending"));
    await this.#workers;
  }

  async #serve(target: NotificationTarget, abort: AbortSignal): Promise<void> {
    const { events, told } = this.#options;
    const name = createHash("sha256").update(JSON.stringify(target)).digest("hex").slice(0, 16);
    const recorded = events.recorded();
    const from = told.read(name) ?? recorded.at(-1)?.id ?? 0;
    this.#note(name, from);
    const pending = recorded.filter(({ id }) => id > from);
    let wake = () => {};
    const unsubscribe = events.subscribe((event) => {
      pending.push(event);
      if (pending.length > pendingMax) pending.shift();
      wake();
    });
    abort.addEventListener("abort", () => wake(), { once: true });
    try {
      while (!abort.aborted) {
        const event = pending[0];
        if (event === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        const isDone = await this.#tell(target, event, abort);
        if (pending[0] === event) pending.shift();
        if (isDone) this.#note(name, event.id);
      }
    } finally {
      unsubscribe();
    }
  }

  /** Where the disk is full, the next agent tells it again. */
  #note(name: string, id: number): void {
    try {
      this.#options.told.write(name, id);
    } catch (error) {
      this.#options.log.warn("cannot note what was told", { error: describeError(error) });
    }
  }

  /** False: nobody had to be told, or the agent ends. */
  async #tell(target: NotificationTarget, event: AgentEvent, abort: AbortSignal): Promise<boolean> {
    const { clock, random, log, host, send } = this.#options;
    const notification = describeEvent(event, host());
    if (notification === undefined || !target.on.includes(notification.occasion)) return false;
    for (let failures = 1; !abort.aborted; failures += 1) {
      try {
        await send(target, notification, abort);
        return true;
      } catch (error) {
        if (abort.aborted) return false;
        const fields = { kind: target.kind, error: describeError(error) };
        if (error instanceof RefusedError) {
          log.error("notification refused", fields);
          return true;
        }
        if (clock.now() - Date.parse(event.time) > ageMsMax) {
          log.error("notification given up", fields);
          return true;
        }
        if (failures === 1) log.warn("cannot send a notification, it is tried again", fields);
        const delay = { failures, firstMs: firstRetryMs, maxMs: retryMsMax, random: random() };
        await clock.sleep(backoffMs(delay), abort).catch(() => {});
      }
    }
    return false;
  }
}
