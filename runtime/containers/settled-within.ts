/** False when the time is over first; rejects when the signal is. */
export async function settledWithin(
  promise: Promise<unknown>,
  timeoutMs: number,
  abort: AbortSignal,
): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const stop = Promise.withResolvers<false>();
  const onAbort = () => stop.reject(abort.reason);
  abort.addEventListener("abort", onAbort, { once: true });
  timer = setTimeout(() => stop.resolve(false), timeoutMs);
  try {
    return await Promise.race([promise.then(() => true), stop.promise]);
  } finally {
    clearTimeout(timer);
    abort.removeEventListener("abort", onAbort);
  }
}
