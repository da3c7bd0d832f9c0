/** Time, handed in wherever something waits, so that a simulation can own it. */
export type Clock = {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `durationMs`; rejects with the signal's reason when it is aborted first. */
  sleep(durationMs: number, abort: AbortSignal): Promise<void>;
};

/** Longer timers overflow Node's 32-bit milliseconds and would fire at once. */
const timerMsMax = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep(durationMs, abort) {
    return new Promise((resolve, reject) => {
      if (abort.aborted) {
        reject(abort.reason);
        return;
      }
      const onAbort = () => {
        clearTimeout(timer);
        reject(abort.reason);
      };
      const timer = setTimeout(
        () => {
          abort.removeEventListener("abort", onAbort);
          resolve();
        },
        Math.min(Math.max(durationMs, 0), timerMsMax),
      );
      abort.addEventListener("abort", onAbort, { once: true });
    });
  },
};
