import type { Diagnostic } from "./desired-state.ts";
import type { Position } from "./yaml/node.ts";

/** Collects what is wrong and what is odd, so that one run shows everything. */
export type Report = {
  error(at: Position, message: string): void;
  warn(at: Position, message: string): void;
};

export type DiagnosticLists = {
  readonly errors: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
};

/**
 * `finish` returns both lists without doubles, sorted by file, line, column, message, and
 * bounded.
 */
export function collectDiagnostics(): { readonly report: Report; finish(): DiagnosticLists } {
  const errors = new Map<string, Diagnostic>();
  const warnings = new Map<string, Diagnostic>();
  return {
    report: {
      error: (at, message) => keep(errors, at, message),
      warn: (at, message) => keep(warnings, at, message),
    },
    finish: () => ({ errors: ordered(errors), warnings: ordered(warnings) }),
  };
}

/** `compose.yaml:3:5: message` */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column, message } = diagnostic;
  return `${file}:${line}:${column}: ${message}`;
}

/** A value of the manifest as messages show it: quoted, control characters escaped, never long. */
export function quoteValue(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= shownMax ? text : `${text.slice(0, shownMax)}…`;
}

const shownMax = 80;
const diagnosticsMax = 1000;

function keep(list: Map<string, Diagnostic>, at: Position, message: string): void {
  if (list.size >= diagnosticsMax) return;
  const diagnostic = { file: at.file, line: at.line, column: at.column, message };
  list.set(formatDiagnostic(diagnostic), diagnostic);
}

function ordered(list: ReadonlyMap<string, Diagnostic>): Diagnostic[] {
  return [...list.values()].sort(
    (a, b) =>
      compareText(a.file, b.file) ||
      a.line - b.line ||
      a.column - b.column ||
      compareText(a.message, b.message),
  );
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
