import type { Report } from "../diagnostics.ts";
import type { Position } from "../yaml/node.ts";

const expandedLengthMax = 16 * 1024 * 1024;
/** Of everything that is told to one report. */
const lengths = new WeakMap<Report, number>();

/**
 * Counts what variables made of a text; false, and reported, when all of them together are too long. A few hundred
 * short lines that name a long variable would otherwise stand for gigabytes.
 */
export function mayExpand(report: Report, at: Position, length: number): boolean {
  const before = lengths.get(report) ?? 0;
  lengths.set(report, before + length);
  if (before + length <= expandedLengthMax) return true;
  if (before <= expandedLengthMax) {
    report.error(
      at,
      `variables make more than ${expandedLengthMax} characters of the files: use shorter ones`,
    );
  }
  return false;
}
