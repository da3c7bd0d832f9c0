/**
 * Delay before the next try after `failures` (1 or more) failures in a row: doubling from `firstMs`, at most `maxMs`,
 * of which `random` in [0, 1) takes away up to half, so that hosts that failed together do not retry together.
 */
export function backoffMs(options: {
  readonly failures: number;
  readonly firstMs: number;
  readonly maxMs: number;
  readonly random: number;
}): number {
  const { failures, firstMs, maxMs, random } = options;
  const full = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return full * (1 - random / 2);
}
