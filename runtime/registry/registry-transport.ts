import { discard, type HttpAnswer, HttpExchange, type HttpRequest } from "./http-exchange.ts";
import { distrusted } from "./http-failures.ts";
import type { RateWait } from "./rate-limits.ts";
import { refusal } from "./registry-answers.ts";
import type { RegistryCredentials } from "./registry-credentials.ts";
import type { Endpoint } from "./registry-endpoints.ts";
import { RegistryLogin } from "./registry-login.ts";
import type { RegistrySettings } from "./registry-settings.ts";

export type RegistryRequest = Pick<HttpRequest, "method" | "body" | "attemptsMax" | "abort"> & {
  readonly endpoint: Endpoint;
  readonly repository: string;
  /** Below the repository, such as `manifests/latest`; or a whole URL that the registry named (an upload). */
  readonly target: string | URL;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the token must allow; repositories besides this one are read. */
  readonly actions: "pull" | "pull,push" | "delete";
  readonly alsoReads?: string;
  readonly onWait?: ((wait: RateWait) => void) | undefined;
};

/** Requests to registries with what they ask for: the right scheme, and a login when they challenge. */
export class RegistryTransport {
  readonly #exchange: HttpExchange;
  readonly #login: RegistryLogin;
  readonly #origins = new Map<string, URL>();

  constructor(options: { settings: RegistrySettings; now: () => number }) {
    this.#exchange = new HttpExchange(options);
    this.#login = new RegistryLogin({ ...options, exchange: this.#exchange });
  }

  async send(order: RegistryRequest): Promise<HttpAnswer> {
    const { endpoint, abort, onWait } = order;
    const origin = await this.origin(endpoint, abort);
    const request = this.#request(order, origin);
    // An upload may go to storage of others; the user's credentials are not theirs.
    if (request.url.origin !== origin.origin) return this.#exchange.send(this.#foreign(request));
    const scopes = scopesOf(order);
    const held = this.#login.held(endpoint.name, scopes);
    const first = await this.#exchange.send(
      held === undefined ? request : { ...request, authorization: held },
    );
    // A redirect's target that wants a login is not the registry: it learns nothing of the user's (CVE-2020-15157).
    if (first.status !== 401 || first.url.origin !== origin.origin) return first;
    discard(first);
    const challengeHeader = first.header("www-authenticate");
    const login = { registry: endpoint.name, origin, scopes, challengeHeader, abort, onWait };
    const authorization = await this.#login.answer({ ...login, rejected: held });
    const second = await this.#exchange.send({ ...request, authorization });
    if (second.status === 401) this.#login.forget(endpoint.name, scopes);
    return second;
  }

  /** Asks whether a registry takes these credentials, and fails when it does not. Forgets tokens of earlier ones. */
  async verify(
    endpoint: Endpoint,
    credentials: RegistryCredentials,
    abort: AbortSignal,
  ): Promise<void> {
    const registry = endpoint.name;
    const origin = await this.origin(endpoint, abort);
    const ping = { method: "GET", url: new URL("/v2/", origin), headers: {}, abort } as const;
    const first = await this.#exchange.send(ping);
    discard(first);
    if (first.status === 401 && first.url.origin === origin.origin) {
      const challengeHeader = first.header("www-authenticate");
      const login = { registry, origin, scopes: [], challengeHeader, credentials, abort };
      const authorization = await this.#login.answer(login);
      const second = await this.#exchange.send({ ...ping, authorization });
      if (second.status !== 200) throw await refusal(second, { registry, what: "API at /v2/" });
      discard(second);
    } else if (first.status !== 200) {
      throw await refusal(first, { registry, what: "API at /v2/" });
    }
    this.#login.forget(registry);
  }

  forgetLogins(registry: string): void {
    this.#login.forget(registry);
  }

  /** HTTPS, and where plain HTTP is allowed that too when nothing speaks HTTPS there, as Docker does it. */
  async origin({ host }: Endpoint, abort: AbortSignal): Promise<URL> {
    const known = this.#origins.get(host);
    if (known !== undefined) return known;
    const secure = new URL(`https://${host}/`);
    if (!this.#exchange.isPlainAllowed(host)) return secure;
    const plain = new URL(`http://${host}/`);
    const origin = (await this.#answers(secure, abort)) ? secure : plain;
    // Held only once it has answered: a registry that is down now may speak HTTPS when it is back.
    if (origin === secure || (await this.#answers(plain, abort))) this.#origins.set(host, origin);
    return origin;
  }

  #foreign(request: HttpRequest): HttpRequest {
    const { protocol, host } = request.url;
    if (protocol === "https:" || this.#exchange.isPlainAllowed(host)) return request;
    throw distrusted(host, "an upload would go there over plain HTTP");
  }

  #request(order: RegistryRequest, origin: URL): HttpRequest {
    const { endpoint, target, query = {}, repository } = order;
    const path = `/v2/${endpoint.prefix}${repository}/${String(target)}`;
    const url = target instanceof URL ? new URL(target) : new URL(path, origin);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    // What a cache serves for several registries is told apart by it, as with containerd.
    if (endpoint.mirrorOf !== undefined) url.searchParams.set("ns", endpoint.mirrorOf);
    return {
      method: order.method,
      url,
      headers: order.headers ?? {},
      abort: order.abort,
      ...(order.body === undefined ? {} : { body: order.body }),
      ...(order.attemptsMax === undefined ? {} : { attemptsMax: order.attemptsMax }),
      ...(order.onWait === undefined ? {} : { onWait: order.onWait }),
    };
  }

  async #answers(origin: URL, abort: AbortSignal): Promise<boolean> {
    const url = new URL("/v2/", origin);
    try {
      discard(
        await this.#exchange.send({ method: "GET", url, headers: {}, abort, attemptsMax: 1 }),
      );
      return true;
    } catch {
      abort.throwIfAborted();
      return false;
    }
  }
}

/** `repository:library/nginx:pull`: never more than the request at hand needs. */
function scopesOf({
  endpoint,
  repository,
  actions,
  alsoReads,
}: RegistryRequest): readonly string[] {
  const own = `repository:${endpoint.prefix}${repository}:${actions}`;
  return alsoReads === undefined ? [own] : [own, `repository:${alsoReads}:pull`];
}
