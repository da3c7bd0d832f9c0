import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { ImageError, printable } from "../images/image-error.ts";
import { distrusted, unreachable } from "./http-failures.ts";
import { HttpRoutes } from "./http-routes.ts";
import { backoffMs, RateLimits, type RateWait } from "./rate-limits.ts";
import { isPlainHttpAllowed } from "./registry-address.ts";
import type { RegistrySettings } from "./registry-settings.ts";

const ATTEMPTS_MAX = 4;
const REDIRECTS_MAX = 5;
const retryableStatus: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

export type HttpRequest = {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Opened anew for each attempt. */
  readonly body?: () => Buffer | AsyncIterable<Buffer>;
  /** Sent to the origin of `url` only, never along a redirect to another. */
  readonly authorization?: string;
  readonly abort: AbortSignal;
  readonly attemptsMax?: number;
  /** Told when the host asked for a pause, which is then kept. */
  readonly onWait?: (wait: RateWait) => void;
};

export type HttpAnswer = {
  readonly status: number;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  header(name: string): string | undefined;
  /** When the host wants to be asked again, in milliseconds since the epoch. */
  readonly retryAtMs?: number | undefined;
  /** The body must be read to its end or destroyed. */
  readonly body: Dispatcher.ResponseData["body"];
};

/**
 * One logical request to a registry: follows redirects, tries again what may pass (connection failures, 5xx,
 * 429 as Retry-After asks) with growing pauses, and gives up with an error that names the host.
 */
export class HttpExchange {
  readonly #routes: HttpRoutes;
  readonly #limits: RateLimits;
  readonly #settings: RegistrySettings;

  constructor(options: { settings: RegistrySettings; now: () => number }) {
    this.#settings = options.settings;
    this.#routes = new HttpRoutes(options.settings);
    this.#limits = new RateLimits(options.now);
  }

  /** Whether plain HTTP may be spoken to a host. */
  isPlainAllowed(host: string): boolean {
    return isPlainHttpAllowed(host, this.#settings);
  }

  async send(order: HttpRequest): Promise<HttpAnswer> {
    const attemptsMax = order.attemptsMax ?? ATTEMPTS_MAX;
    const { host } = order.url;
    for (let attempt = 1; ; attempt += 1) {
      if (!(await this.#limits.wait(host, order.abort, order.onWait))) throw this.#held(host);
      const isLast = attempt >= attemptsMax;
      try {
        const answer = await this.#follow(order);
        if (!retryableStatus.includes(answer.status)) return answer;
        const pauseMs = this.#limits.note(host, answer.header("retry-after"));
        if (isLast || pauseMs === undefined) {
          return { ...answer, retryAtMs: this.#limits.until(host) };
        }
        discard(answer);
      } catch (error) {
        if (error instanceof ImageError) throw error;
        if (isLast || order.abort.aborted) throw await this.#unreachable(order.url, error);
      }
      await sleep(backoffMs(attempt), undefined, { signal: order.abort });
    }
  }

  async #follow(order: HttpRequest): Promise<HttpAnswer> {
    let { url, authorization } = order;
    for (let hop = 0; hop <= REDIRECTS_MAX; hop += 1) {
      const answer = await this.#once(order, url, authorization);
      const location = answer.header("location");
      if (!isRedirect(order.method, answer.status) || location === undefined) return answer;
      discard(answer);
      const next = this.#redirectTarget(url, location);
      // A registry sends clients to storage of others; the user's credentials are not theirs (CVE-2020-15157).
      if (next.origin !== url.origin) authorization = undefined;
      url = next;
    }
    throw distrusted(order.url.host, `it redirects more than ${REDIRECTS_MAX} times`);
  }

  async #once(order: HttpRequest, url: URL, authorization?: string): Promise<HttpAnswer> {
    const route = await this.#routes.find(url);
    const response = await route.dispatcher.request({
      origin: route.origin,
      path: route.path,
      method: order.method,
      headers: {
        "user-agent": "berth",
        "accept-encoding": "identity",
        ...order.headers,
        ...(authorization === undefined ? {} : { authorization }),
        ...route.headers,
      },
      ...(order.body === undefined ? {} : { body: bodyOf(order.body()) }),
      signal: order.abort,
    });
    return {
      status: response.statusCode,
      url,
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
    const isAllowed = from.protocol === "http:" && this.isPlainAllowed(next.host);
    if (isPlain && !isAllowed) {
      throw distrusted(from.host, `it redirects to plain HTTP at ${next.host}`);
    }
    next.username = "";
    next.password = "";
    return next;
  }

  async #unreachable(url: URL, cause: unknown): Promise<ImageError> {
    const { via } = await this.#routes.find(url);
    return unreachable(url.host, cause, via);
  }

  #held(host: string): ImageError {
    return rateLimited(host, this.#limits.until(host));
  }
}

/** The error for a host that wants no requests for now. */
export function rateLimited(host: string, retryAtMs: number | undefined, said = ""): ImageError {
  const when = retryAtMs === undefined ? "later" : `after ${new Date(retryAtMs).toISOString()}`;
  return new ImageError({
    because: `registry ${host} limits the rate of this host's requests (429)${said}`,
    fix: `try again ${when} or log in to it`,
    kind: "retryable",
    ...(retryAtMs === undefined ? {} : { retryAtMs }),
  });
}

/** Lets the connection go without reading the rest. */
export function discard({ body }: Pick<HttpAnswer, "body">): void {
  body.on("error", () => {}).destroy();
}

/** 301 to 303 make a GET of what had a body: only reading follows those. */
function isRedirect(method: HttpRequest["method"], status: number): boolean {
  if (status === 307 || status === 308) return true;
  return (method === "GET" || method === "HEAD") && status >= 301 && status <= 303;
}

function bodyOf(body: Buffer | AsyncIterable<Buffer>): Buffer | Readable {
  return Buffer.isBuffer(body) ? body : Readable.from(body, { objectMode: false });
}
