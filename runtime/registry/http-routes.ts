import type { SecureContext } from "node:tls";
import type { Dispatcher } from "undici";
import { loadAgent, loadProxyAgent } from "./load-undici.ts";
import { chooseProxy } from "./proxy-choice.ts";
import { hostSettings, type RegistrySettings, readTlsContext } from "./registry-settings.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 30_000;

/** Where the bytes of a request go. */
export type HttpRoute = {
  readonly dispatcher: Dispatcher;
  /** What is connected to: the host itself, or a proxy that is given the whole URL as `path`. */
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** For errors: ` through the proxy HOST`, or nothing. */
  readonly via: string;
};

/**
 * Connections by host, with its certificates, and through its proxy. The library takes memory: an agent that pulls
 * nothing does without it.
 */
export class HttpRoutes {
  readonly #settings: RegistrySettings;
  readonly #dispatchers = new Map<string, Promise<Dispatcher>>();

  constructor(settings: RegistrySettings) {
    this.#settings = settings;
  }

  async find(url: URL): Promise<HttpRoute> {
    const proxy = chooseProxy(url, this.#settings.proxy);
    const via = proxy === undefined ? "" : ` through the proxy ${new URL(proxy).host}`;
    // A plain request is handed to the proxy as it is (RFC 9112, 3.2.2); only TLS needs a tunnel.
    if (proxy !== undefined && url.protocol === "http:") {
      return {
        dispatcher: await this.#dispatcher("any direct", () => direct()),
        origin: new URL(proxy).origin,
        path: `${url.origin}${url.pathname}${url.search}`,
        headers: { host: url.host, ...proxyAuthorization(proxy) },
        via,
      };
    }
    return {
      dispatcher: await this.#dispatcher(this.#keyOf(url.host, proxy), () =>
        this.#secured(url.host, proxy),
      ),
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      headers: {},
      via,
    };
  }

  /** Hosts without certificates of their own share connections: a registry may redirect to any number of them. */
  #keyOf(host: string, proxy: string | undefined): string {
    const { caFile, clientCertificate, skipTlsVerify } = hostSettings(this.#settings, host);
    const isSpecial = [caFile, clientCertificate, skipTlsVerify].some((v) => v !== undefined);
    return `${isSpecial ? host : "any"} ${proxy ?? "direct"}`;
  }

  async #secured(host: string, proxy: string | undefined): Promise<Dispatcher> {
    const settings = hostSettings(this.#settings, host);
    const secureContext = await readTlsContext(host, settings);
    const tls = {
      timeout: CONNECT_TIMEOUT_MS,
      ...(secureContext === undefined ? {} : { secureContext }),
      ...(settings.skipTlsVerify === true ? { rejectUnauthorized: false } : {}),
    };
    if (proxy === undefined) return direct(tls);
    const ProxyAgent = await loadProxyAgent();
    return new ProxyAgent({
      ...limits,
      uri: proxy,
      requestTls: tls,
      proxyTls: { timeout: CONNECT_TIMEOUT_MS },
    });
  }

  #dispatcher(key: string, create: () => Promise<Dispatcher>): Promise<Dispatcher> {
    const known = this.#dispatchers.get(key);
    if (known !== undefined) return known;
    const made = create();
    this.#dispatchers.set(key, made);
    // A file that cannot be read now may be there at the next attempt.
    made.catch(() => this.#dispatchers.delete(key));
    return made;
  }
}

const limits = { headersTimeout: IDLE_TIMEOUT_MS, bodyTimeout: IDLE_TIMEOUT_MS, connections: 8 };

async function direct(
  tls: { timeout: number; secureContext?: SecureContext } = { timeout: CONNECT_TIMEOUT_MS },
): Promise<Dispatcher> {
  const Agent = await loadAgent();
  return new Agent({ ...limits, connect: tls });
}

function proxyAuthorization(proxy: string): Readonly<Record<string, string>> {
  const { username, password } = new URL(proxy);
  if (username === "") return {};
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(plain).toString("base64")}` };
}
