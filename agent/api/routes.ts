/** The agent's socket, one route for each call of `Control` (exec has its own connection: `exec-server.ts`). */
import type { IncomingMessage } from "node:http";
import type { z } from "zod";
import { RequestError } from "./api-error.ts";
import { byteLength, endWithParts } from "./body-parts.ts";
import { imageRoutes } from "./image-routes.ts";
import { registryRoutes } from "./registry-routes.ts";
import { readJsonBody, readQuery } from "./request-body.ts";
import * as requests from "./requests.ts";
import { resourceRoutes } from "./resource-routes.ts";
import { rolloutRoutes } from "./rollout-routes.ts";
import { answer, type Call, lines, type Route } from "./route.ts";
import { runRoutes } from "./run-routes.ts";

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

const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ...imageRoutes,
  ...registryRoutes,
  ...resourceRoutes,
  ...rolloutRoutes,
  ...runRoutes,
  ["GET /v1/status", answer(requests.Nothing, ({ control }) => control.status())],
  ["GET /v1/plan", answer(requests.Nothing, ({ control, abort }) => control.plan(abort))],
  [
    "GET /v1/ready",
    answer(requests.Nothing, async ({ control }) => ({ ready: await control.ready() })),
  ],
  ["GET /v1/ps", answer(requests.PsQuery, ({ control }, query) => control.ps(query))],
  [
    "GET /v1/inspect",
    answer(requests.InspectQuery, ({ control }, { name }) => control.inspect(name)),
  ],
  ["GET /v1/logs", lines(requests.LogsQuery, readLogs)],
  [
    "GET /v1/stats",
    lines(requests.StatsQuery, ({ control, abort }, { intervalMs, names }) =>
      control.stats({ intervalMs, abort, ...(names === undefined ? {} : { names }) }),
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
  [
    "POST /v1/down",
    answer(requests.DownBody, ({ control, abort }, { volumes, strays }) =>
      control.down({ volumes, strays, abort }),
    ),
  ],
]);

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
  { timeoutMs, allowRewrite }: z.output<typeof requests.SyncBody>,
): Promise<unknown> {
  if (timeoutMs === undefined) return control.sync(abort, { allowRewrite });
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    return await control.sync(AbortSignal.any([abort, deadline]), { allowRewrite });
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

async function sendMetrics({ control, response }: Call): Promise<void> {
  const text = await control.metrics();
  response.once("close", text.release);
  response.writeHead(200, {
    "content-type": "text/plain; version=0.0.4; charset=utf-8",
    "content-length": byteLength(text.parts),
  });
  endWithParts(response, text.parts);
}
