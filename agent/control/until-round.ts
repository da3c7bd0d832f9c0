import type { ReconcileLoop, Round } from "../reconcile.ts";

/** Resolves with what `look` finds in a round that begins after this one; rejects when `abort` fires. */
export function untilRound<Found>(
  loop: ReconcileLoop,
  { after, abort }: { readonly after: number; readonly abort: AbortSignal },
  look: (round: Round) => Found | undefined,
): Promise<Found> {
  return new Promise((resolve, reject) => {
    const stop = loop.onRound((round) => {
      const found = round.number > after ? look(round) : undefined;
      if (found === undefined) return;
      end();
      resolve(found);
    });
    const onAbort = () => {
      end();
      reject(abort.reason);
    };
    const end = () => {
      stop();
      abort.removeEventListener("abort", onAbort);
    };
    abort.addEventListener("abort", onAbort, { once: true });
    if (abort.aborted) onAbort();
  });
}
