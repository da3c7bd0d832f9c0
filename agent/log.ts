import type { Log } from "../runtime/runtime.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "logfmt" | "json";

export type LogOptions = {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Receives whole lines, each with its newline. */
  readonly write: (line: string) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
};

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error"];
const fieldCharactersMax = 2_000;

/** A logger of static messages plus fields, one line each (logfmt, or JSON). */
export function createLog(options: LogOptions): Log {
  const threshold = levels.indexOf(options.level);
  const at =
    (level: LogLevel) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      if (levels.indexOf(level) < threshold) return;
      const time = new Date(options.now()).toISOString();
      options.write(
        options.format === "json"
          ? `${JSON.stringify({ time, level, message, ...jsonFields(fields) })}\n`
          : `${logfmt({ time, level, message, ...fields })}\n`,
      );
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** One sentence for an error and its causes, each said once: for a log field, a status line or the command line. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  while (current !== undefined && current !== null && parts.length < 5) {
    const text = textOf(current);
    if (!parts.some((part) => saysAlready(part, current, text))) parts.push(text);
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(": ");
}

/** SQLITE_FULL of rescode.html; SQLite's own words leave open which disk it is. */
const sqliteFull = 13;

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("errcode" in error && error.errcode === sqliteFull) {
    return "the disk of berth's data directory is full: free space there";
  }
  return error.message;
}

/** Node's own errors say "ENOENT: no such file or directory, open '/x'": whoever caught one has said what it means. */
function saysAlready(part: string, error: unknown, text: string): boolean {
  if (part.includes(text)) return true;
  const { code, message } = error as NodeJS.ErrnoException;
  if (typeof code !== "string") return false;
  const meaning = /^E[A-Z0-9]+: ([^,]+)/.exec(message)?.[1];
  return part.includes(code) || (meaning !== undefined && part.includes(meaning));
}

function jsonFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      value instanceof Error ? describeError(value) : value,
    ]),
  );
}

function logfmt(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${logfmtValue(value)}`)
    .join(" ");
}

function logfmtValue(value: unknown): string {
  const text =
    value instanceof Error
      ? describeError(value)
      : typeof value === "object" && value !== null
        ? JSON.stringify(value)
        : String(value);
  const bounded = text.length > fieldCharactersMax ? `${text.slice(0, fieldCharactersMax)}…` : text;
  return /^[^\s"=\p{Cc}]+$/u.test(bounded) ? bounded : JSON.stringify(bounded);
}
