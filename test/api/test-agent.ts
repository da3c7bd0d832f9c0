/** The API over a sample control in a directory of its own, and small clients for it. */
import { mkdtemp, rm } from "node:fs/promises";
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { type Api, startApi } from "../../agent/api/start-api.ts";
import type { Control } from "../../agent/control/control.ts";
import type { Log } from "../../runtime/runtime.ts";
import { createSampleControl } from "./sample-control.ts";

export const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export type TestAgent = {
  readonly root: string;
  readonly socketPath: string;
  readonly api: Api;
  readonly calls: readonly string[];
};

/** Closed and removed when the test ends, however it ends. */
export async function startTestAgent(
  t: ExecutionContext,
  changes: Partial<Control> = {},
  allowedHosts: readonly string[] = [],
): Promise<TestAgent> {
  const root = await mkdtemp(join(tmpdir(), "bt-api-"));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const { control, calls } = createSampleControl(changes);
  const socketPath = join(root, "run", "agent.sock");
  const listen = { host: "127.0.0.1", port: 0 };
  const api = await startApi({ control, socketPath, listen, allowedHosts, log: silent });
  t.teardown(() => api.close());
  return { root, socketPath, api, calls };
}

export type Answer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
};

export type Asking = {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Buffer;
  readonly headers?: OutgoingHttpHeaders;
};

/** One request on the socket, or on TCP when a port is given. */
export function ask(
  to: { readonly socketPath: string } | { readonly port: number },
  asking: Asking,
): Promise<Answer> {
  const { method = "GET", path, body, headers = {} } = asking;
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...to, host: "127.0.0.1", method, path, headers, agent: false });
    outgoing.once("error", reject);
    outgoing.once("response", async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: Buffer.concat(chunks),
      });
    });
    outgoing.end(body);
  });
}

/** The JSON body of an answer. */
export function json(answer: Answer): unknown {
  return JSON.parse(answer.body.toString("utf8"));
}
