import { appendFileSync, writeSync } from "node:fs";

/** Tells why a verb failed: to stderr, and to the file that the caller reads where one was named. */
export function logFailure(
  error: unknown,
  logging: { readonly file?: string; readonly format?: string },
): void {
  const text = sayAll(error);
  const time = new Date().toISOString();
  const line =
    logging.format === "json"
      ? JSON.stringify({ level: "error", msg: text, time })
      : `time=${JSON.stringify(time)} level=error msg=${JSON.stringify(text)}`;
  try {
    if (logging.file !== undefined && logging.file !== "")
      appendFileSync(logging.file, `${line}\n`);
    // Stderr may be the container's and full; the exit code tells the failure all the same.
    writeSync(2, `berth-oci: ${text}\n`);
  } catch {
    // Nobody is left to be told.
  }
  if (process.env.BERTH_DEBUG !== undefined) console.error(error);
}

/** The message and those of its causes, each said once. */
function sayAll(error: unknown): string {
  const said: string[] = [];
  let current = error;
  while (current instanceof Error && said.length < 5) {
    const { message } = current;
    if (!said.some((earlier) => earlier.includes(message))) said.push(message);
    current = current.cause;
  }
  return said.length === 0 ? String(error) : said.join(": ");
}
