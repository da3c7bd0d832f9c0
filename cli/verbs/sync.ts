import type { Command } from "commander";
import type { AgentEvent, SyncReport } from "../../agent/control/control.ts";
import { call, readLines } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { formatShort } from "../figures.ts";
import { createProgressLine, type ProgressLine } from "../progress-line.ts";
import { print, printable, printJson, style } from "../terminal.ts";

const TIMEOUT_MS = 60_000;

export async function runSync(context: Context, command: Command): Promise<number> {
  const { timeout = TIMEOUT_MS, allowRewrite = false } = command.opts<{
    timeout?: number;
    allowRewrite?: boolean;
  }>();
  const progress = createProgressLine();
  const stopShowing = showEvents(context, progress);
  const report = await call<SyncReport>(context, "POST /v1/sync", {
    timeoutMs: timeout,
    allowRewrite,
  }).finally(() => {
    stopShowing();
    progress.clear();
  });
  if (context.json) printJson(report);
  else printReport(report);
  return report.verdict === "healthy" ? 0 : 1;
}

function printReport({ revision, verdict, reason, leftAlone }: SyncReport): void {
  const color = verdict === "healthy" ? "green" : "red";
  const why = reason === "" ? "" : `: ${printable(reason)}`;
  print(`${formatShort(revision)} ${style(color, verdict)}${why}`);
  for (const name of leftAlone) print(`left alone, as it was changed by hand: ${printable(name)}`);
}

/** The newest event with the seconds so far, on a terminal only. Returns what ends it. */
function showEvents(context: Context, progress: ProgressLine): () => void {
  if (!process.stderr.isTTY) return () => undefined;
  const startedMs = performance.now();
  let newest = "fetching";
  const paint = (): void => {
    progress.show(`${((performance.now() - startedMs) / 1000).toFixed(1)} s  ${newest}`);
  };
  const timer = setInterval(paint, 100);
  const sinceMs = Date.now();
  const done = new AbortController();
  const events = readLines<AgentEvent>(context, "GET /v1/events", { follow: true }, done.signal);
  const follow = async (): Promise<void> => {
    for await (const event of events) {
      if (Date.parse(event.time) >= sinceMs)
        newest = `${event.kind} ${event.target} ${event.message}`;
    }
  };
  // Events are only shown while the answer is awaited: their failure is not the sync's.
  follow().catch(() => undefined);
  return () => {
    clearInterval(timer);
    done.abort();
  };
}
