/** The page at `/`: the status as plain HTML, without scripts. */
import type { StatusReport } from "../control/control.ts";

/** Every value is escaped: names and messages come from manifests, images and the network. */
export function renderStatusPage(status: StatusReport): string {
  const { source } = status;
  const facts: readonly (readonly [string, string | null])[] = [
    ["source", `${source.url} ${source.ref}`],
    ["fetched", source.fetchedAt],
    ["source error", source.error],
    ["unreachable since", source.unreachableSince],
    ["wanted", status.wanted],
    ["running", status.running],
    ["quarantined", status.quarantined.join(" ")],
    ["suspended", status.suspended.map(describeSuspension).join(", ")],
  ];
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>berth: ${escapeHtml(status.host)}</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem}th,td{text-align:left;padding:0 1.5rem 0 0}</style>
<h1>${escapeHtml(status.host)} <small>${escapeHtml(status.instance)}</small></h1>
<table>${facts.map(renderFact).join("")}</table>
${status.errors.length === 0 ? "" : `<h2>Errors</h2><pre>${escapeHtml(status.errors.join("\n"))}</pre>`}
<h2>Apps</h2>
<table><tr><th>app<th>state<th>verdict<th>revision<th>ready<th>reason</tr>
${status.apps.map(renderApp).join("\n")}
</table>
<p><a href="/metrics">metrics</a> <a href="/readyz">readiness</a></p>
`;
}

function describeSuspension({ app, since }: StatusReport["suspended"][number]): string {
  return `${app ?? "every app"}${since === null ? "" : ` since ${since}`}`;
}

/** Text as HTML shows it, in an element or a quoted attribute. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function renderFact([name, value]: readonly [string, string | null]): string {
  if (value === null || value === "") return "";
  return `<tr><th>${escapeHtml(name)}<td>${escapeHtml(value)}</tr>`;
}

function renderApp(app: StatusReport["apps"][number]): string {
  const ready = app.services.map(
    (service) => `${service.name} ${service.ready}/${service.replicas}`,
  );
  const cells = [app.name, app.state, app.verdict, app.revision, ready.join(", "), app.reason];
  return `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}`).join("")}</tr>`;
}
