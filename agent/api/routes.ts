/** The agent's socket, one route for each call of `Control` (exec has its own connection: `exec-server.ts`). */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { z } from "zod";
import type { Control } from "../control.ts";
import { RequestError, sendJson } from "./api-error.ts";
import { lineOfError, openLineStream, sendLines } from "./line-stream.ts";
import { readJsonBody, readQuery } from "./request-body.ts";
import * as requests from "./requests.ts";

type Call = {
  readonly control: Control;
  readonly response: ServerResponse;
  /** Aborted when the asker goes away or the API closes. */
  readonly abort: AbortSignal;
};

type Route = (call: Call, input: unknown) => Promise<void>;

/** Carries out one request; throws `RequestError` for what it refuses. */
export async function serveRoute(
  call: Call & { readonly request: IncomingMessage },
): Promise<void> {
  const { request } = call;
  // The host does not matter: only the path and the query of the target are read.
  const url = URL.parse(request.url ?? "/", "http://agent");
  if (url === null)
    throw new RequestError(400, "usage", "cannot read the request because its target is no URL");
  const key = `${request.method} ${url.pathname}`;
  const route = routes.get(key);
  if (route === undefined) {
    throw new RequestError(404, "not-found", `cannot serve ${key} because there is no such route`);
  }
  const input =
    request.method === "POST" ? await readJsonBody(request) : readQuery(url.searchParams);
  await route(call, input);
}

/** A route that answers with one JSON value; `undefined` is answered as `{}`. */
function answer<Schema extends z.ZodType>(
  schema: Schema,
  serve: (call: Call, input: z.output<Schema>) => Promise<unknown>,
): Route {
  return async (call, input) => {
    const value = await serve(call, parse(schema, input));
    sendJson(call.response, 200, value ?? {});
  };
}

function lines<Schema extends z.ZodType>(
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

const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ["GET /v1/status", answer(requests.Nothing, ({ control }) => control.status())],
  ["GET /v1/plan", answer(requests.Nothing, ({ control, abort }) => control.plan(abort))],
  [
    "GET /v1/ready",
    answer(requests.Nothing, async ({ control }) => ({ ready: await control.ready() })),
  ],
  ["GET /v1/images", answer(requests.Nothing, ({ control }) => control.images())],
  ["GET /v1/ps", answer(requests.PsQuery, ({ control }, query) => control.ps(query))],
  [
    "GET /v1/inspect",
    answer(requests.InspectQuery, ({ control }, { name }) => control.inspect(name)),
  ],
  ["GET /v1/logs", lines(requests.LogsQuery, readLogs)],
  [
    "GET /v1/stats",
    lines(requests.StatsQuery, ({ control, abort }, { intervalMs }) =>
      control.stats({ intervalMs, abort }),
    ),
  ],
  [
    "GET /v1/events",
    lines(requests.EventsQuery, ({ control, abort }, { follow }) =>
      control.events({ follow, abort }),
    ),
  ],
  ["GET /v1/metrics", sendMetrics],
  ["POST /v1/sync", answer(requests.SyncBody, sync)],
  [
    "POST /v1/stop",
    answer(requests.StopBody, ({ control }, { name, graceMs }) =>
      control.stop(name, graceMs === undefined ? {} : { graceMs }),
    ),
  ],
  [
    "POST /v1/restart",
    answer(requests.StopBody, ({ control }, { name, graceMs }) =>
      control.restart(name, graceMs === undefined ? {} : { graceMs }),
    ),
  ],
  ["POST /v1/start", answer(requests.NameBody, ({ control }, { name }) => control.start(name))],
  [
    "POST /v1/kill",
    answer(requests.KillBody, ({ control }, { name, signal }) => control.kill(name, signal)),
  ],
  ["POST /v1/pause", answer(requests.NameBody, ({ control }, { name }) => control.pause(name))],
  ["POST /v1/unpause", answer(requests.NameBody, ({ control }, { name }) => control.unpause(name))],
  [
    "GET /v1/wait",
    answer(requests.InspectQuery, ({ control, abort }, { name }) => control.wait(name, abort)),
  ],
  ["GET /v1/top", answer(requests.InspectQuery, ({ control }, { name }) => control.top(name))],
  ["POST /v1/load", answer(requests.LoadBody, load)],
  [
    "POST /v1/down",
    answer(requests.DownBody, ({ control, abort }, { volumes }) =>
      control.down({ volumes, abort }),
    ),
  ],
  ["POST /v1/pull", pull],
]);

function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const mistakes = requests.describeMistakes(result.error);
  throw new RequestError(
    400,
    "usage",
    `cannot serve the request because of its fields: ${mistakes}`,
  );
}

function readLogs(
  { control, abort }: Call,
  { name, tail, sinceMs, follow }: z.output<typeof requests.LogsQuery>,
): Promise<AsyncIterable<unknown>> {
  return control.logs(name, {
    follow,
    abort,
    ...(tail === undefined ? {} : { tail }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
  });
}

async function sync(
  { control, abort }: Call,
  { timeoutMs }: z.output<typeof requests.SyncBody>,
): Promise<unknown> {
  if (timeoutMs === undefined) return control.sync(abort);
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    return await control.sync(AbortSignal.any([abort, deadline]));
  } catch (error) {
    if (!deadline.aborted) throw error;
    throw new RequestError(
      504,
      "waiting",
      `cannot say how the sync ended because there was no verdict within ${timeoutMs / 1000} s: ` +
        "'berth status' shows what it waits for",
    );
  }
}

function load(
  { control, abort }: Call,
  { path, reference }: z.output<typeof requests.LoadBody>,
): Promise<unknown> {
  return control.load(path, reference === undefined ? { abort } : { reference, abort });
}

/** Lines `{progress}` as they come, then one `{image}` or `{error, kind}`. */
async function pull({ control, response, abort }: Call, input: unknown): Promise<void> {
  const { reference } = parse(requests.PullBody, input);
  const send = openLineStream(response, abort);
  // At most one progress line is under way: what comes meanwhile is superseded by the newest.
  let sending: Promise<void> | undefined;
  const onProgress = (progress: unknown): void => {
    if (sending !== undefined) return;
    sending = send({ progress }).finally(() => {
      sending = undefined;
    });
  };
  const last = await control.pull(reference, { abort, onProgress }).then(
    (image) => ({ image }),
    (error: unknown) => lineOfError(error),
  );
  await sending;
  await send(last);
  response.end();
}

async function sendMetrics({ control, response }: Call): Promise<void> {
  const text = await control.metrics();
  response.writeHead(200, {
    "content-type": "text/plain; version=0.0.4; charset=utf-8",
    "content-length": text.length,
  });
  response.end(text);
}
