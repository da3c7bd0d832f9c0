import type { Report } from "../diagnostics.ts";
import type { Position } from "../yaml/node.ts";

/** What all apps of a revision together may still use up, for one host. Negative: it was too much. */
export type Budget = {
  /** Bytes of Compose files and files of variables. */
  bytesLeft: number;
  /** Characters of the texts that variables make. */
  expansionLeft: number;
};

const bytesMax = 16 * 1024 * 1024;
const expansionMax = 16 * 1024 * 1024;

export function revisionBudget(): Budget {
  return { bytesLeft: bytesMax, expansionLeft: expansionMax };
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
  const before = budget.expansionLeft;
  budget.expansionLeft -= length;
  if (budget.expansionLeft >= 0) return true;
  if (before >= 0) {
    report.error(
      at,
      `variables make more than ${expansionMax} characters of the files: use shorter ones`,
    );
  }
  return false;
}
