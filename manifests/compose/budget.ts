import type { Report } from "../diagnostics.ts";
import type { Position } from "../yaml/node.ts";

/** What all apps of a revision together may still use up, for one host. Negative: it was too much. */
export type Budget = {
  /** Bytes of Compose files and files of variables. */
  bytesLeft: number;
  /** Characters of the texts that variables make. */
  expansionLeft: number;
  /** Single ports that short forms stand for. */
  portsLeft: number;
};

const bytesMax = 16 * 1024 * 1024;
const expansionMax = 16 * 1024 * 1024;
const portsMax = 65_536;

export function revisionBudget(): Budget {
  return { bytesLeft: bytesMax, expansionLeft: expansionMax, portsLeft: portsMax };
}

/**
 * Counts what variables made of a text; false, and reported once, when all of them together are too long. A few hundred
 * short lines that name a long variable would otherwise stand for gigabytes.
 */
export function mayExpand({
  budget,
  report,
  at,
  length,
}: {
  readonly budget: Budget;
  readonly report: Report;
  readonly at: Position;
  readonly length: number;
}): boolean {
  const message = `variables make more than ${expansionMax} characters of the files: use shorter ones`;
  return take(budget, "expansionLeft", {
    amount: length,
    onSpent: () => report.error(at, message),
  });
}

/**
 * Counts what a short port stands for; false, and reported once, when all of them together are too many. A file of ranges
 * would otherwise stand for a hundred million.
 */
export function mayPublish({
  budget,
  report,
  at,
  count,
}: {
  readonly budget: Budget;
  readonly report: Report;
  readonly at: Position;
  readonly count: number;
}): boolean {
  const message = `ranges of ports stand for more than ${portsMax} ports in all: use shorter ones`;
  return take(budget, "portsLeft", { amount: count, onSpent: () => report.error(at, message) });
}

function take(
  budget: Budget,
  what: keyof Budget,
  { amount, onSpent }: { readonly amount: number; readonly onSpent: () => void },
): boolean {
  const before = budget[what];
  budget[what] -= amount;
  if (budget[what] >= 0) return true;
  if (before >= 0) onSpent();
  return false;
}
