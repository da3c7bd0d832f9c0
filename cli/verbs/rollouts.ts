import type { Command } from "commander";
import type { StatusReport } from "../../agent/control/control.ts";
import type { RolloutReport, WhyReport } from "../../agent/control/rollout-control.ts";
import { call } from "../agent-client.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { describeChange } from "../field-change.ts";
import { formatAge, formatShort, formatSince } from "../figures.ts";
import { formatTable } from "../table.ts";
import { print, printable, printJson } from "../terminal.ts";
import { runImageHistory } from "./keep-images.ts";

/** Characters of a commit's first line that a table has room for. */
const subjectShown = 40;

export async function runRollback(context: Context, command: Command): Promise<undefined> {
  const [app = ""] = command.args;
  const { to } = command.opts<{ to?: string }>();
  const body = to === undefined ? { app } : { app, to };
  const rollout = await call<RolloutReport>(context, "POST /v1/rollback", body);
  if (context.json) printJson(rollout);
  else print(`${printable(app)} goes to ${formatShort(rollout.revision)}: see \`berth status\``);
}

export async function runSuspend(context: Context, { args: [app] }: Command): Promise<undefined> {
  await call(context, "POST /v1/suspend", app === undefined ? {} : { app });
  if (context.json) return;
  const again = app === undefined ? "`berth resume`" : `\`berth resume ${app}\``;
  print(`${app ?? "every app"} is left alone from now on, until ${again}`);
}

export async function runResume(context: Context, { args: [app] }: Command): Promise<undefined> {
  await call(context, "POST /v1/resume", app === undefined ? {} : { app });
  if (!context.json) print(`${app ?? "every app"} is looked after again`);
}

/** Of an app, of all of them, or of an image: an app wins. */
export async function runHistory(context: Context, command: Command): Promise<undefined> {
  const [name] = command.args;
  const query = name === undefined ? {} : { app: name };
  const rollouts = await call<readonly RolloutReport[]>(context, "GET /v1/history", query);
  if (rollouts.length === 0 && name !== undefined) {
    await runImageHistory(context, command).catch((cause) => explainName(context, name, cause));
    return;
  }
  if (context.json) {
    printJson(rollouts);
    return;
  }
  const rows = rollouts.map((rollout) => [
    rollout.app,
    formatShort(rollout.revision),
    shortCommit(rollout.commit),
    rollout.cause,
    formatSince(rollout.startedAt),
    rollout.finishedAt === null ? "-" : formatAge(took(rollout.startedAt, rollout.finishedAt)),
    rollout.verdict,
    rollout.reason,
  ]);
  print(
    formatTable(
      ["APP", "REVISION", "COMMIT", "CAUSE", "STARTED", "TOOK", "VERDICT", "REASON"],
      rows,
    ),
  );
}

/** It may have been meant as an app's. */
async function explainName(context: Context, name: string, cause: unknown): Promise<never> {
  const { apps } = await call<StatusReport>(context, "GET /v1/status");
  const known = apps.map((app) => app.name).join(", ");
  const message = `cannot find a history of ${name}: neither an app (${known || "there is none"}) nor an image here has that name`;
  if (!(cause instanceof CliError)) throw cause;
  throw new CliError(1, message);
}

export async function runWhy(context: Context, { args: [name] }: Command): Promise<undefined> {
  const why = await call<WhyReport>(context, "GET /v1/why", { name });
  if (context.json) {
    printJson(why);
    return;
  }
  const made = `was made ${formatSince(why.createdAt)} by revision ${formatShort(why.revision)}`;
  print(`${printable(why.container)} ${made}${longCommit(why.commit)}`);
  for (const change of why.reason) print(`  ${describeChange(change)}`);
  const { failure, rollout } = why;
  if (failure !== null) {
    const restarts = why.restarts === 1 ? "1 restart" : `${why.restarts} restarts`;
    print(`ended ${formatSince(failure.at)} with ${printable(failure.how)}, ${restarts} so far`);
  }
  if (rollout === null) return;
  const reason = rollout.reason === "" ? "" : `: ${printable(rollout.reason)}`;
  const of = `${printable(why.app)} at ${formatShort(rollout.revision)} (${rollout.cause})`;
  print(`the rollout of ${of} is ${rollout.verdict}${reason}`);
  for (const step of rollout.steps.filter(({ target }) => target === why.container)) {
    const begun = formatSeconds(took(rollout.startedAt, step.startedAt));
    const how = step.outcome === "done" ? "" : `, ${step.outcome}: ${printable(step.error ?? "")}`;
    print(`  after ${begun}: ${step.kind}, took ${formatSeconds(step.tookMs)}${how}`);
  }
}

function shortCommit(commit: RolloutReport["commit"]): string {
  if (commit === null) return "-";
  const { subject } = commit;
  return subject.length <= subjectShown ? subject : `${subject.slice(0, subjectShown - 1)}…`;
}

function longCommit(commit: RolloutReport["commit"]): string {
  return commit === null ? "" : `: ${printable(commit.subject)} (${printable(commit.author)})`;
}

function formatSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function took(from: string, to: string): number {
  return Date.parse(to) - Date.parse(from);
}
