import { appendFileSync, writeSync } from "node:fs";
import { describeError } from "../../agent/log.ts";

/** Where the caller reads what happened, besides stderr. */
export type Logging = { file?: string; format?: string };

/** Tells why a verb failed: to stderr, and to the file that the caller reads where one was named. */
export function logFailure(error: unknown, logging: Logging): void {
  logLine("error", describeError(error), logging);
  if (process.env.BERTH_DEBUG !== undefined) console.error(error);
}

/** Tells of what the caller may not have meant, and which goes on nevertheless. */
export function logWarning(text: string, logging: Logging): void {
  logLine("warning", text, logging);
}

function logLine(level: "error" | "warning", text: string, logging: Logging): void {
  const time = new Date().toISOString();
  const line =
    logging.format === "json"
      ? JSON.stringify({ level, msg: text, time })
      : `time=${JSON.stringify(time)} level=${level} msg=${JSON.stringify(text)}`;
  try {
    if (logging.file !== undefined && logging.file !== "")
      appendFileSync(logging.file, `${line}\n`);
    // Stderr may be the container's and full; the exit code tells a failure all the same.
    writeSync(2, `berth-oci: ${level === "warning" ? "warning: " : ""}${text}\n`);
  } catch {
    // Nobody is left to be told.
  }
}
