/** What anybody who reaches `--listen` may see: metrics, life, readiness and a plain page. Webhooks are taken here. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { SharedText } from "../../metrics/lent-text.ts";
import type { Log } from "../../runtime/runtime.ts";
import type { Control } from "../control/control.ts";
import type { HookReceiver } from "../webhook/hook-receiver.ts";
import { createHostCheck } from "./allowed-hosts.ts";
import { byteLength, compress, endWithParts } from "./body-parts.ts";
import { http } from "./lean-http.ts";
import { renderStatusPage } from "./status-page.ts";
import { describeUnreadiness } from "./unreadiness.ts";

type Answer = {
  readonly status: number;
  readonly type: string;
  readonly body: readonly Uint8Array[] | string;
  /** To be called once the body has been sent, or will not be. */
  readonly release?: () => void;
};

const LINGER_MS = 2000;
const TEXT = "text/plain; charset=utf-8";
const MISDIRECTED =
  "this host is not known by that name: ask by address, or name it in allowedHosts\n";
const METRICS = "text/plain; version=0.0.4; charset=utf-8";

/**
 * A server that is not listening yet. It answers GET and HEAD of four paths, and with a `hook` POST of /hook; everything
 * else is 404. Asked to show something under another name than `localhost`, an address or one of `hosts`, it answers 421.
 */
export function createPublicServer(options: {
  readonly control: Control;
  readonly hosts: readonly string[];
  readonly hook?: HookReceiver | undefined;
  readonly log: Log;
}): Server {
  const { control, hosts, hook, log } = options;
  const serve = createRoutes(control);
  const isOurs = createHostCheck(hosts);
  const server = http.createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: 5000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5000,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      const isHook = hook !== undefined && request.method === "POST" && request.url === "/hook";
      const answered = isHook
        ? takeHook(request, response, hook)
        : answer({ request, response, serve, isOurs });
      answered.catch((error: unknown) => {
        log.error("cannot serve a request", { path: request.url, error: messageOf(error) });
        if (response.headersSent) response.destroy();
        else
          send(response, {
            status: 500,
            type: TEXT,
            body: "cannot serve this now: see the agent's log\n",
          });
      });
    },
  );
  server.maxConnections = 128;
  return server;
}

/** A delivery proves itself by its signature, under whatever name of this host it comes. */
async function takeHook(
  request: IncomingMessage,
  response: ServerResponse,
  hook: HookReceiver,
): Promise<void> {
  const { status, text } = await hook.receive(request);
  if (!request.readableEnded) {
    response.setHeader("connection", "close");
    // Closed at once, the connection would be reset before the answer is read (RFC 9112, section 9.6).
    request.resume();
    const late = setTimeout(() => request.destroy(), LINGER_MS).unref();
    request.once("close", () => clearTimeout(late));
  }
  send(response, { status, type: TEXT, body: text });
}

async function answer(exchange: {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly serve: (path: string) => Promise<Answer | undefined>;
  readonly isOurs: (host: string | undefined) => boolean;
}): Promise<void> {
  const { request, response, serve, isOurs } = exchange;
  // Nothing here takes a body: it is not read, and the connection that carries one is not kept.
  if (hasBody(request)) {
    response.setHeader("connection", "close");
    response.once("finish", () => request.destroy());
  }
  if (!isOurs(request.headers.host)) {
    send(response, { status: 421, type: TEXT, body: MISDIRECTED });
    return;
  }
  const readable = request.method === "GET" || request.method === "HEAD";
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
  const found = readable ? await serve(path) : undefined;
  const whole = found ?? { status: 404, type: TEXT, body: "not found\n" };
  if (whole.release !== undefined) response.once("close", whole.release);
  if (whole.type === METRICS) response.setHeader("vary", "accept-encoding");
  if (whole.type !== METRICS || typeof whole.body === "string" || !acceptsGzip(request)) {
    send(response, whole);
    return;
  }
  const body = await compress(whole.body);
  whole.release?.();
  response.setHeader("content-encoding", "gzip");
  send(response, { ...whole, body });
}

function createRoutes(control: Control): (path: string) => Promise<Answer | undefined> {
  // Scrapes that come together share one rendering.
  const metrics = new SharedText(() => control.metrics());
  return async (path) => {
    switch (path) {
      case "/metrics": {
        const { parts, release } = await metrics.take();
        return { status: 200, type: METRICS, body: parts, release };
      }
      case "/healthz":
        return { status: 200, type: TEXT, body: "ok\n" };
      case "/readyz": {
        if (await control.ready()) return { status: 200, type: TEXT, body: "ready\n" };
        const reason = describeUnreadiness(await control.status());
        return { status: 503, type: TEXT, body: `not ready: ${reason}\n` };
      }
      case "/": {
        const page = renderStatusPage(await control.status());
        return { status: 200, type: "text/html; charset=utf-8", body: page };
      }
      default:
        return undefined;
    }
  };
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": typeof body === "string" ? Buffer.byteLength(body) : byteLength(body),
    "cache-control": "no-store",
    "content-security-policy":
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
  });
  // A HEAD request gets the headers alone: Node drops the body.
  if (typeof body === "string") response.end(body);
  else endWithParts(response, body);
}

function hasBody(request: IncomingMessage): boolean {
  const length = request.headers["content-length"];
  return request.headers["transfer-encoding"] !== undefined || (length ?? "0") !== "0";
}

/** RFC 9110 section 12.5.3, as far as it decides about gzip. */
function acceptsGzip(request: IncomingMessage): boolean {
  const header = String(request.headers["accept-encoding"] ?? "");
  return header.split(",").some((part) => {
    const [coding, ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    return coding === "gzip" && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
