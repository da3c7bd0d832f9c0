import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { z } from "zod";
import type { Control } from "../control/control.ts";
import { RequestError, sendJson } from "./api-error.ts";
import { sendLines } from "./line-stream.ts";
import { describeMistakes } from "./requests.ts";

export type Call = {
  readonly control: Control;
  readonly response: ServerResponse;
  /** Aborted when the asker goes away or the API closes. */
  readonly abort: AbortSignal;
};

export type Route = (call: Call, input: unknown) => Promise<void>;

/** A route that answers with one JSON value; `undefined` is answered as `{}`. */
export function answer<Schema extends z.ZodType>(
  schema: Schema,
  serve: (call: Call, input: z.output<Schema>) => Promise<unknown>,
): Route {
  return async (call, input) => {
    const value = await serve(call, parse(schema, input));
    sendJson(call.response, 200, value ?? {});
  };
}

/** A route that answers with one JSON value a line. */
export function lines<Schema extends z.ZodType>(
  schema: Schema,
  serve: (
    call: Call,
    input: z.output<Schema>,
  ) => AsyncIterable<unknown> | Promise<AsyncIterable<unknown>>,
): Route {
  return async (call, input) => {
    const values = await serve(call, parse(schema, input));
    await sendLines(call.response, values, call.abort);
  };
}

/**
 * A route that answers with bytes as they come. What fails before the first of them is answered as an error; later the
 * connection is cut, so that nobody takes what came for the whole.
 */
export function bytes<Schema extends z.ZodType>(
  schema: Schema,
  serve: (call: Call, input: z.output<Schema>) => AsyncIterable<Uint8Array>,
): Route {
  return async (call, input) => {
    const { response, abort } = call;
    const source = serve(call, parse(schema, input))[Symbol.asyncIterator]();
    try {
      let next = await source.next();
      response.writeHead(200, { "content-type": "application/octet-stream" });
      for (; next.done !== true; next = await source.next()) {
        if (!response.write(next.value)) await once(response, "drain", { signal: abort });
      }
      response.end();
    } finally {
      await source.return?.();
    }
  };
}

/** Throws a `RequestError` that names every mistake. */
export function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const mistakes = describeMistakes(result.error);
  throw new RequestError(
    400,
    "usage",
    `cannot serve the request because of its fields: ${mistakes}`,
  );
}
