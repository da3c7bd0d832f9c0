/** The agent's HTTP faces: its own socket (everything) and, where asked, a TCP address (reading, and webhooks). */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import type { Log } from "../../runtime/runtime.ts";
import type { Control } from "../control/control.ts";
import type { HookReceiver } from "../webhook/hook-receiver.ts";
import { sendError } from "./api-error.ts";
import { EXEC_PROTOCOL } from "./exec-frames.ts";
import { type SessionKind, serveExec } from "./exec-server.ts";
import { http } from "./lean-http.ts";
import { createPublicServer } from "./public-server.ts";
import { serveRoute } from "./routes.ts";
import { listenOnSocket } from "./unix-socket.ts";

const CLOSE_GRACE_MS = 2000;
const sessionKinds: ReadonlyMap<string, SessionKind> = new Map([
  ["/v1/exec", "exec"],
  ["/v1/attach", "attach"],
  ["/v1/copy", "copy"],
  ["/v1/run", "run"],
]);

export type StartApiOptions = {
  readonly control: Control;
  /** `run/agent.sock`. */
  readonly socketPath: string;
  /** Where /metrics, /healthz, /readyz and / are served; port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number } | null;
  /** Names, besides `localhost`, the host's own and that of `listen`, that TCP answers to. */
  readonly allowedHosts?: readonly string[];
  /** Takes webhooks at /hook. */
  readonly hook?: HookReceiver | undefined;
  readonly log: Log;
};

export type Api = {
  /** Ends streams, lets answers that are being written go out, and removes the socket. */
  close(): Promise<void>;
  /** The TCP port, null without `listen`. */
  readonly port: number | null;
};

/** Rejects when either address is taken; nothing listens then. */
export async function startApi(options: StartApiOptions): Promise<Api> {
  const { control, socketPath, listen, allowedHosts = [], hook, log } = options;
  const closing = new AbortController();
  const privateServer = createPrivateServer({ control, log, closing: closing.signal });
  const removeSocket = await listenOnSocket(privateServer, socketPath);
  const closePrivate = async (): Promise<void> => {
    closing.abort(new Error("the agent is ending"));
    await Promise.all([removeSocket(), closeServer(privateServer)]);
  };
  if (listen === null) return { close: closePrivate, port: null };
  const publicServer = createPublicServer({
    control,
    hosts: [hostname(), listen.host, ...allowedHosts],
    hook,
    log,
  });
  let port: number;
  try {
    port = await listenOnTcp(publicServer, listen);
  } catch (error) {
    await closePrivate();
    throw error;
  }
  return {
    port,
    async close() {
      await Promise.all([closePrivate(), closeServer(publicServer)]);
    },
  };
}

function createPrivateServer(options: {
  readonly control: Control;
  readonly log: Log;
  readonly closing: AbortSignal;
}): Server {
  const { control, log, closing } = options;
  const server = http.createServer({
    maxHeaderSize: 16_384,
    headersTimeout: 5000,
    requestTimeout: 10_000,
  });
  // A wait for a verdict or a followed log may take any time: only the request's own arrival is limited.
  server.timeout = 0;
  server.maxConnections = 512;
  server.on("request", (request, response) => {
    const gone = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) gone.abort(new Error("the asker went away"));
    });
    const abort = AbortSignal.any([gone.signal, closing]);
    serveRoute({ control, request, response, abort }).catch((error: unknown) => {
      if (gone.signal.aborted) return;
      log.debug("refused a request", { path: request.url, error: String(error) });
      sendError(request, response, error);
    });
  });
  server.on("upgrade", (request, connection, head) => {
    const kind = sessionKinds.get(request.url ?? "");
    if (kind === undefined || request.headers.upgrade !== EXEC_PROTOCOL) {
      connection.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    void serveExec({ kind, control, connection, head, abort: closing });
  });
  return server;
}

function listenOnTcp(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const fix =
        error.code === "EADDRINUSE" ? ": choose another --listen, or stop what holds it" : "";
      reject(
        new Error(`cannot listen on ${host}:${port} because ${error.message}${fix}`, {
          cause: error,
        }),
      );
    });
    server.listen({ host, port }, () => {
      // The address of a server that listens on TCP is an AddressInfo.
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** Idle connections end at once, busy ones after the grace period. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const hurry = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(hurry);
      resolve();
    });
    server.closeIdleConnections();
  });
}
