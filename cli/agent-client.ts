/** Calls to the agent over its socket. */
import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import type { Duplex } from "node:stream";
import { http } from "../agent/api/lean-http.ts";
import { CliError } from "./cli-error.ts";
import type { Context } from "./context.ts";

const LINE_BYTES_MAX = 16_777_216;

/** Lists can be posted only. */
export type Query = Readonly<
  Record<string, string | number | boolean | readonly string[] | object | undefined>
>;

/**
 * Asks for one JSON value. Fails with the agent's own sentence, or with how to start it. The caller names the
 * type that `Control` gives for this call: both ends come from one repository.
 */
export async function call<Answer>(
  context: Context,
  route: string,
  input: Query = {},
): Promise<Answer> {
  const response = await ask(context, route, input);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  // The type is the caller's promise, see above.
  return JSON.parse(Buffer.concat(chunks).toString("utf8")) as Answer;
}

/** Asks for bytes as they come. An answer that is cut short is an error at its end. */
export async function* readBytes(
  context: Context,
  route: string,
  input: Query = {},
): AsyncGenerator<Buffer, void, undefined> {
  const response = await ask(context, route, input);
  try {
    for await (const chunk of response) yield chunk;
  } catch (error) {
    throw new CliError(
      1,
      "cannot finish because the agent ended meanwhile or could not read on: its log tells why",
      { cause: error },
    );
  }
}

/** Reads a stream of JSON lines, until it ends or the signal; a line `{error}` is thrown. */
export async function* readLines<Line>(
  context: Context,
  route: string,
  input: Query = {},
  signal?: AbortSignal,
): AsyncGenerator<Line, void, undefined> {
  const response = await ask(context, route, input, signal);
  response.setEncoding("utf8");
  let rest = "";
  for await (const chunk of response) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_BYTES_MAX)
      throw new CliError(1, "cannot read the agent's answer because a line has no end");
    for (const line of lines) {
      const value: unknown = JSON.parse(line);
      if (isErrorLine(value)) throw new CliError(1, value.error);
      // As in `call`.
      yield value as Line;
    }
  }
}

/** Opens a connection that speaks `protocol` after an HTTP upgrade. */
export function upgrade(context: Context, path: string, protocol: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const request = send(context, {
      method: "GET",
      path,
      headers: { connection: "Upgrade", upgrade: protocol },
    });
    request.once("upgrade", (_response, connection, head) => {
      connection.unshift(head);
      resolve(connection);
    });
    request.once("response", (response) => {
      response.resume();
      reject(
        new CliError(
          1,
          "cannot open a session because the agent is of another version: restart it",
        ),
      );
    });
    request.once("error", (error) => reject(explain(error, context)));
    request.end();
  });
}

/** `route` is `GET /v1/ps`. A GET carries its input in the query, a POST as JSON. */
function ask(
  context: Context,
  route: string,
  input: Query,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  const [method = "GET", path = "/"] = route.split(" ");
  const fields = Object.entries(input).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(fields.map(([key, value]) => [key, String(value)])).toString();
  const body = method === "POST" ? JSON.stringify(Object.fromEntries(fields)) : undefined;
  return new Promise((resolve, reject) => {
    const request = send(context, {
      method,
      ...(signal === undefined ? {} : { signal }),
      path: body === undefined && query !== "" ? `${path}?${query}` : path,
      headers:
        body === undefined
          ? {}
          : { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
    });
    request.once("error", (error) => reject(explain(error, context)));
    request.once("response", (response) => {
      if (response.statusCode === 200) resolve(response);
      else readError(response).then(reject, reject);
    });
    request.end(body);
  });
}

function send(context: Context, options: RequestOptions): ClientRequest {
  return http.request({ ...options, socketPath: context.socketPath, host: "agent", agent: false });
}

async function readError(response: IncomingMessage): Promise<CliError> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const message = isErrorLine(value) ? value.error : `the agent answered ${response.statusCode}`;
  return new CliError(1, message);
}

function isErrorLine(value: unknown): value is { readonly error: string } {
  return (
    typeof value === "object" &&
    value !== null &&
    "kind" in value &&
    "error" in value &&
    typeof value.error === "string"
  );
}

function explain(error: NodeJS.ErrnoException, context: Context): Error {
  const { socketPath, spelled } = context;
  switch (error.code) {
    case "ENOENT":
    case "ECONNREFUSED":
      return new AgentAbsentError(
        `cannot reach the agent because none answers on ${socketPath}: start it with ` +
          (spelled === ""
            ? "'systemctl start berth' or 'berth agent --repo URL_OR_PATH'"
            : `'berth agent ${spelled} --repo URL_OR_PATH'`),
      );
    case "EACCES":
      return new CliError(
        1,
        `cannot reach the agent because ${socketPath} is not open to this user: run it as root`,
      );
    case "ECONNRESET":
      return new CliError(
        1,
        "cannot finish because the agent ended meanwhile: 'journalctl -u berth' tells why",
      );
    default:
      return new CliError(1, `cannot reach the agent because of ${error.message}`, {
        cause: error,
      });
  }
}

/** No agent runs for this root and instance. */
export class AgentAbsentError extends CliError {
  constructor(message: string) {
    super(1, message);
    this.name = "AgentAbsentError";
  }
}
