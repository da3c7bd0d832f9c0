/** Errors as the socket shows them: `{error, kind}` and a status code. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { describeError as sayWithCauses } from "../log.ts";

/**
 * `stalled`: a human must act; `waiting`: for a named thing; `retryable`: the agent tries again; `usage`: the
 * request is wrong; `not-found`: no such route or name; `failed`: anything else.
 */
export type ErrorKind = "usage" | "not-found" | "stalled" | "waiting" | "retryable" | "failed";

export class RequestError extends Error {
  readonly status: number;
  readonly kind: ErrorKind;

  constructor(status: number, kind: ErrorKind, message: string) {
    super(message);
    this.name = "RequestError";
    this.status = status;
    this.kind = kind;
  }
}

const statusOfKind: Readonly<Record<ErrorKind, number>> = {
  usage: 400,
  "not-found": 404,
  stalled: 409,
  waiting: 503,
  retryable: 503,
  failed: 500,
};

/** What to answer for anything thrown: an error says its kind in a `kind` property. */
export function describeError(error: unknown): { status: number; error: string; kind: ErrorKind } {
  if (error instanceof RequestError) {
    return { status: error.status, error: error.message, kind: error.kind };
  }
  const kind = kindOf(error);
  return { status: statusOfKind[kind], error: sayWithCauses(error), kind };
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": body.length,
  });
  response.end(body);
}

/** Answers with the error, or cuts the connection when the answer has begun already. */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  thrown: unknown,
): void {
  const { status, error, kind } = describeError(thrown);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // What remains of a refused body is not read: the connection cannot serve another request.
  if (!request.complete) response.setHeader("connection", "close");
  sendJson(response, status, { error, kind });
}

function kindOf(error: unknown): ErrorKind {
  if (!(error instanceof Error)) return "failed";
  if (
    "kind" in error &&
    typeof error.kind === "string" &&
    Object.hasOwn(statusOfKind, error.kind)
  ) {
    // The line above found it among the keys of statusOfKind.
    return error.kind as ErrorKind;
  }
  return error.name === "TimeoutError" ? "waiting" : "failed";
}
