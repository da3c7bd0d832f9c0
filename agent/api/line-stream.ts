/** Newline-delimited JSON: one value a line; a line `{error, kind}` ends a stream that failed. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { describeError } from "./api-error.ts";

/**
 * Sends each value as a line, no faster than the reader takes them, until the source or the reader ends.
 * `abort` must be aborted when the reader goes.
 */
export async function sendLines(
  response: ServerResponse,
  values: AsyncIterable<unknown>,
  abort: AbortSignal,
): Promise<void> {
  const send = openLineStream(response, abort);
  try {
    for await (const value of values) {
      await send(value);
      if (abort.aborted) break;
    }
  } catch (error) {
    if (!abort.aborted) await send(lineOfError(error));
  }
  response.end();
}

/** Begins the answer and returns what sends one value; it resolves when the reader can take more. */
export function openLineStream(
  response: ServerResponse,
  abort: AbortSignal,
): (value: unknown) => Promise<void> {
  response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
  response.flushHeaders();
  return async (value) => {
    if (abort.aborted || response.writableEnded) return;
    if (response.write(`${JSON.stringify(value)}\n`)) return;
    // The reader going away is an end, not an error.
    await once(response, "drain", { signal: abort }).catch(() => undefined);
  };
}

export function lineOfError(thrown: unknown): { error: string; kind: string } {
  const { error, kind } = describeError(thrown);
  return { error, kind };
}
