import { setTimeout as sleep } from "node:timers/promises";
import type { Agent, Dispatcher, request } from "undici";
import { ImageError, printable } from "../images/image-error.ts";
import { isPlainHttpAllowed } from "./registry-address.ts";

const ATTEMPTS_MAX = 4;
const BACKOFF_FIRST_MS = 250;
const REDIRECTS_MAX = 5;
const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 30_000;
const RETRY_AFTER_MS_MAX = 30_000;
const retryableStatus: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

export type HttpRequest = {
  readonly method: "GET" | "HEAD";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent to the origin of `url` only, never along a redirect to another. */
  readonly authorization?: string;
  readonly abort: AbortSignal;
  readonly attemptsMax?: number;
};

export type HttpAnswer = {
  readonly status: number;
  header(name: string): string | undefined;
  /** The body must be read to its end or destroyed. */
  readonly body: Dispatcher.ResponseData["body"];
};

type HttpClient = { readonly request: typeof request; readonly agent: Agent };

/**
 * One logical request to a registry: follows redirects, tries again what may pass (connection failures, 5xx,
 * 429 as Retry-After asks) with growing pauses, and gives up with an error that names the host.
 */
export class HttpExchange {
  #client: Promise<HttpClient> | undefined;
  readonly #insecureRegistries: readonly string[];
  readonly #now: () => number;

  constructor(options: { insecureRegistries: readonly string[]; now: () => number }) {
    this.#insecureRegistries = options.insecureRegistries;
    this.#now = options.now;
  }

  async send(order: HttpRequest): Promise<HttpAnswer> {
    const attemptsMax = order.attemptsMax ?? ATTEMPTS_MAX;
    for (let attempt = 1; ; attempt += 1) {
      const isLast = attempt >= attemptsMax;
      let pauseMs = backoffMs(attempt);
      try {
        const answer = await this.#follow(order);
        if (!retryableStatus.includes(answer.status)) return answer;
        pauseMs = Math.max(pauseMs, this.#retryAfterMs(answer) ?? 0);
        if (isLast || pauseMs > RETRY_AFTER_MS_MAX) return answer;
        answer.body.on("error", () => {}).destroy();
      } catch (error) {
        if (error instanceof ImageError) throw error;
        if (isLast || order.abort.aborted) throw unreachable(order.url.host, error);
      }
      await sleep(pauseMs, undefined, { signal: order.abort });
    }
  }

  async #follow(order: HttpRequest): Promise<HttpAnswer> {
    let { url, authorization } = order;
    for (let hop = 0; hop <= REDIRECTS_MAX; hop += 1) {
      const answer = await this.#once(order, url, authorization);
      const location = answer.header("location");
      if (answer.status < 301 || answer.status > 308 || location === undefined) return answer;
      answer.body.on("error", () => {}).destroy();
      const next = this.#redirectTarget(url, location);
      // A registry sends clients to storage of others; the user's credentials are not theirs (CVE-2020-15157).
      if (next.origin !== url.origin) authorization = undefined;
      url = next;
    }
    throw distrusted(order.url.host, `it redirects more than ${REDIRECTS_MAX} times`);
  }

  async #once(order: HttpRequest, url: URL, authorization?: string): Promise<HttpAnswer> {
    this.#client ??= loadClient();
    const client = await this.#client;
    const response = await client.request(url, {
      method: order.method,
      headers: {
        "user-agent": "berth",
        "accept-encoding": "identity",
        ...order.headers,
        ...(authorization === undefined ? {} : { authorization }),
      },
      signal: order.abort,
      dispatcher: client.agent,
    });
    return {
      status: response.statusCode,
      header: (name) => [response.headers[name]].flat()[0],
      body: response.body,
    };
  }

  #redirectTarget(from: URL, location: string): URL {
    const next = URL.canParse(location, from) ? new URL(location, from) : undefined;
    const isPlain = next?.protocol === "http:";
    if (next === undefined || !(isPlain || next.protocol === "https:")) {
      throw distrusted(from.host, `it redirects to ${printable(location, 100)}`);
    }
    const isAllowed = from.protocol === "http:" && this.#isPlainAllowed(next.host);
    if (isPlain && !isAllowed) {
      throw distrusted(from.host, `it redirects to plain HTTP at ${next.host}`);
    }
    next.username = "";
    next.password = "";
    return next;
  }

  #isPlainAllowed(host: string): boolean {
    return isPlainHttpAllowed(host, this.#insecureRegistries);
  }

  #retryAfterMs(answer: HttpAnswer): number | undefined {
    return retryAfterMs(answer.header("retry-after"), this.#now());
  }
}

/** The library takes 15 MiB: an agent that pulls nothing does without it. */
async function loadClient(): Promise<HttpClient> {
  const undici = await import("undici");
  const agent = new undici.Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: IDLE_TIMEOUT_MS,
    bodyTimeout: IDLE_TIMEOUT_MS,
    connections: 8,
  });
  return { request: undici.request, agent };
}

/** Milliseconds that a Retry-After header (seconds or a date, RFC 9110, 10.2.3) asks to wait. */
export function retryAfterMs(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/** Pause before the next attempt: doubling, with up to half of it taken off so that hosts do not march in step. */
export function backoffMs(attempt: number): number {
  return BACKOFF_FIRST_MS * 2 ** (attempt - 1) * (1 - Math.random() / 2);
}

/** By `code` or `name` of the error; an abort by the caller is told apart by the caller. */
const failureWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "its name cannot be resolved",
  EAI_AGAIN: "its name cannot be resolved now",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "there is no network",
  ECONNRESET: "it closed the connection",
  UND_ERR_SOCKET: "it closed the connection",
  UND_ERR_CONNECT_TIMEOUT: "it does not answer",
  UND_ERR_HEADERS_TIMEOUT: "it does not answer the request",
  UND_ERR_BODY_TIMEOUT: "it stopped sending",
  TimeoutError: "it takes longer than is allowed",
};

/** Says in words why a host could not be spoken to. */
export function unreachable(host: string, cause: unknown): ImageError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const name = cause instanceof Error ? cause.name : "";
  const message = cause instanceof Error ? cause.message : String(cause);
  const words = failureWords[code] ?? failureWords[name];
  const why = words === undefined ? printable(message, 200) : `${words}, ${code || name}`;
  return new ImageError({
    because: `registry ${host} cannot be reached (${why})`,
    fix: "check that it runs and that this host's network and TLS certificates allow it",
    kind: "retryable",
    cause,
  });
}

function distrusted(host: string, why: string): ImageError {
  return new ImageError({
    because: `registry ${host} is not to be trusted (${why})`,
    fix: "ask who runs the registry, or use another",
    kind: "stalled",
  });
}
