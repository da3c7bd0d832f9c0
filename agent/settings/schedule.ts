import { createRequire } from "node:module";

/** When the source is asked for news. */
export type PollSchedule =
  | { readonly kind: "every"; readonly intervalMs: number }
  | { readonly kind: "cron"; readonly expression: string };

export type MaintenanceWindow = { readonly start: string; readonly durationMs: number };

const load = createRequire(import.meta.url);

const pollMsMin = 1_000;
const windowMsMax = 7 * 24 * 3_600_000;

/** `30s`, `5m`, `1h30m`, or a cron expression of five or six fields (local time). */
export function parsePollSchedule(text: string): PollSchedule {
  const intervalMs = parseDurationMs(text);
  if (intervalMs === undefined) {
    checkCron(text, "poll");
    return { kind: "cron", expression: text };
  }
  if (intervalMs < pollMsMin) {
    throw new Error(`cannot poll every ${text} because that is too often: 1s or more is expected`);
  }
  return { kind: "every", intervalMs };
}

/** A window opens at each moment of `start` (a cron expression, local time) and stays open for `duration`. */
export function parseWindow(window: {
  readonly start: string;
  readonly duration: string;
}): MaintenanceWindow {
  checkCron(window.start, "open a maintenance window");
  const durationMs = parseDurationMs(window.duration);
  if (durationMs === undefined || durationMs <= 0 || durationMs > windowMsMax) {
    throw new Error(
      `cannot open a maintenance window for ${window.duration} because it is not a duration: ` +
        "for example 2h, at most 168h, is expected",
    );
  }
  return { start: window.start, durationMs };
}

/**
 * Milliseconds until the next poll. Intervals carry up to 10 % of jitter so that many hosts do not ask one server
 * in the same instant; `random` is in [0, 1).
 */
export function nextPollInMs(schedule: PollSchedule, nowMs: number, random: number): number {
  if (schedule.kind === "every") return schedule.intervalMs * (1 + random / 10);
  return nextCronMs(schedule.expression, nowMs) - nowMs + random * 1_000;
}

/** True when changes may be applied now: no window is configured, or one is open. */
export function isWindowOpen(windows: readonly MaintenanceWindow[], nowMs: number): boolean {
  return (
    windows.length === 0 ||
    // A window that opened at most `durationMs` ago: its start is the first one after that moment.
    windows.some((window) => nextCronMs(window.start, nowMs - window.durationMs) <= nowMs)
  );
}

/** When the next window opens; `nowMs` while one is open. */
export function nextWindowAtMs(windows: readonly MaintenanceWindow[], nowMs: number): number {
  if (isWindowOpen(windows, nowMs)) return nowMs;
  return Math.min(...windows.map((window) => nextCronMs(window.start, nowMs)));
}

/** `1h30m`, `90s`, `250ms`; undefined when it is not a duration. */
export function parseDurationMs(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  const unitMs: Readonly<Record<string, number>> = {
    ms: 1,
    s: 1_000,
    m: 60_000,
    h: 3_600_000,
    d: 86_400_000,
  };
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * (unitMs[unit ?? ""] ?? 0);
  }
  return total;
}

function checkCron(expression: string, purpose: string): void {
  const { valid, error } = cronTime().validateCronExpression(expression);
  if (!valid) {
    throw new Error(
      `cannot ${purpose} at "${expression}" because it is neither a duration such as 30s nor a cron expression`,
      { cause: error },
    );
  }
  try {
    nextCronMs(expression, 0);
  } catch (error) {
    // 30 February parses, but no day of eight years is one.
    throw new Error(
      `cannot ${purpose} at "${expression}" because it never comes: a date that exists is expected`,
      { cause: error },
    );
  }
}

function nextCronMs(expression: string, fromMs: number): number {
  const CronTime = cronTime();
  return new CronTime(expression).getNextDateFrom(new Date(fromMs)).toMillis();
}

/** Loaded when the first expression is read: the calendar that it brings takes memory that plain intervals do not need. */
function cronTime(): typeof import("cron").CronTime {
  // The package's own type of what it exports.
  return (load("cron") as typeof import("cron")).CronTime;
}
