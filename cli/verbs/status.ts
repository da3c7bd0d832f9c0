import type { StatusReport } from "../../agent/control/control.ts";
import { call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { formatShort, formatSince } from "../figures.ts";
import { type Cell, formatTable } from "../table.ts";
import { print, printable, printJson } from "../terminal.ts";
import { describeTransfer } from "../transfer-progress.ts";

export async function runStatus(context: Context): Promise<undefined> {
  const status = await call<StatusReport>(context, "GET /v1/status");
  if (context.json) {
    printJson(status);
    return;
  }
  printFacts(status);
  for (const pull of status.pulls) {
    print(`pulling      ${printable(`${pull.reference} ${describeTransfer(pull)}`)}`);
  }
  for (const error of status.errors) print(`error        ${printable(error)}`);
  for (const { app, since } of status.suspended) {
    const text = `${app ?? "every app"}${since === null ? "" : ` since ${since}`}`;
    print(`suspended    ${printable(text)}`);
  }
  for (const name of status.apps.flatMap(({ crashLooping }) => crashLooping)) {
    print(`crash loop   ${printable(name)}`);
  }
  print("");
  print(
    formatTable(
      ["APP", "STATE", "VERDICT", "REVISION", "READY", "REASON"],
      status.apps.map((app) => [
        app.name,
        { text: app.state, color: colorOf(app.state) },
        { text: app.verdict, color: colorOf(app.verdict) },
        formatShort(app.revision),
        app.services.map(({ name, ready, replicas }) => `${name} ${ready}/${replicas}`).join(" "),
        app.reason,
      ]),
    ),
  );
}

function printFacts({ host, instance, source, wanted, running, quarantined }: StatusReport): void {
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["host", instance === "berth" ? host : `${host}, instance ${instance}`],
    ["source", `${source.url} ${source.ref}`],
    ["fetched", source.fetchedAt === null ? "never" : formatSince(source.fetchedAt)],
    ["wanted", formatShort(wanted)],
    ["running", formatShort(running)],
    ["quarantined", quarantined.map(formatShort).join(" ")],
    ["unreachable", source.unreachableSince === null ? "" : `since ${source.unreachableSince}`],
    ["error", source.error ?? ""],
  ];
  for (const [name, value] of facts) {
    if (value !== undefined && value !== "") print(`${name.padEnd(13)}${printable(value)}`);
  }
}

function colorOf(word: string): Exclude<Cell, string>["color"] {
  if (word === "running" || word === "healthy") return "green";
  return word === "failed" || word === "rolled-back" || word === "degraded" ? "red" : "yellow";
}
