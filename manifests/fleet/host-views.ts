import type { Diagnostic } from "../desired-state.ts";
import { type DiagnosticLists, formatDiagnostic, type Report } from "../diagnostics.ts";

/** What was found while a revision was compiled for one host. */
export type HostView = { readonly host: string; readonly lists: DiagnosticLists };

/** Puts the findings of all hosts together: each once, with the hosts that have it where not all do. */
export function reportViews({
  views,
  report,
}: {
  readonly views: readonly HostView[];
  readonly report: Report;
}): void {
  for (const kind of ["errors", "warnings"] as const) {
    const found = new Map<string, { readonly diagnostic: Diagnostic; readonly hosts: string[] }>();
    for (const { host, lists } of views) {
      for (const diagnostic of lists[kind]) {
        const key = formatDiagnostic(diagnostic);
        const entry = found.get(key) ?? { diagnostic, hosts: [] };
        entry.hosts.push(host);
        found.set(key, entry);
      }
    }
    for (const { diagnostic, hosts } of found.values()) {
      const where = hosts.length === views.length ? "" : ` (on ${shortList(hosts)})`;
      const message = diagnostic.message + where;
      if (kind === "errors") report.error(diagnostic, message);
      else report.warn(diagnostic, message);
    }
  }
}

const hostsShownMax = 5;

function shortList(hosts: readonly string[]): string {
  const shown = hosts.slice(0, hostsShownMax).join(", ");
  const more = hosts.length - hostsShownMax;
  return more > 0 ? `${shown} and ${more} more` : shown;
}
