import * as z from "zod";
import { ImageError, printable } from "../images/image-error.ts";
import { checked, parseJson } from "../images/manifest-document.ts";
import { readBody } from "../images/read-body.ts";
import { SharedJobs } from "../images/shared-jobs.ts";
import { type AuthChallenge, parseChallenges } from "./auth-challenge.ts";
import type { HttpExchange, HttpRequest } from "./http-exchange.ts";
import type { RateWait } from "./rate-limits.ts";
import { type RegistryCredentials, readCredentials } from "./registry-credentials.ts";

const TOKEN_BYTES_MAX = 256 * 1024;
const LIFETIME_DEFAULT_S = 60;
const LIFETIME_SLACK_MS = 10_000;
const TOKENS_MAX = 200;

const TokenAnswer = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().positive().max(86_400).optional(),
});

type Held = { readonly authorization: string; readonly untilMs: number };

export type LoginRequest = {
  readonly registry: string;
  readonly origin: URL;
  /** `repository:library/nginx:pull`: never more than the request at hand needs. */
  readonly scopes: readonly string[];
  readonly challengeHeader: string | undefined;
  /** The Authorization header that was refused just now. */
  readonly rejected?: string | undefined;
  /** To be used instead of those that are kept. */
  readonly credentials?: RegistryCredentials;
  readonly abort: AbortSignal;
  readonly onWait?: ((wait: RateWait) => void) | undefined;
};

/** Answers the 401 of registries: Bearer by their token service (also anonymously), Basic with credentials. */
export class RegistryLogin {
  readonly #exchange: HttpExchange;
  readonly #now: () => number;
  readonly #held = new Map<string, Held>();
  readonly #asking = new SharedJobs<string, RateWait>();

  constructor(options: { exchange: HttpExchange; now: () => number }) {
    this.#exchange = options.exchange;
    this.#now = options.now;
  }

  /** The Authorization header that an earlier answer earned, while it lasts. */
  held(registry: string, scopes: readonly string[]): string | undefined {
    const entry = this.#held.get(keyOf(registry, scopes));
    return entry !== undefined && entry.untilMs > this.#now() ? entry.authorization : undefined;
  }

  /**
   * The Authorization header that answers a challenge. Requests that are refused at the same time share one answer.
   * Fails when the registry wants what we do not have.
   */
  async answer(login: LoginRequest): Promise<string> {
    if (login.credentials !== undefined) return this.#answer(login, login.credentials);
    const { registry, scopes } = login;
    const held = this.held(registry, scopes);
    if (held !== undefined && held !== login.rejected) return held;
    return this.#asking.run(
      keyOf(registry, scopes),
      { abort: login.abort, ...(login.onWait === undefined ? {} : { onProgress: login.onWait }) },
      async (abort, onWait) =>
        this.#answer({ ...login, abort, onWait }, await readCredentials(registry)),
    );
  }

  forget(registry: string, scopes?: readonly string[]): void {
    if (scopes !== undefined) {
      this.#held.delete(keyOf(registry, scopes));
      return;
    }
    for (const key of this.#held.keys()) if (key.startsWith(`${registry} `)) this.#held.delete(key);
  }

  async #answer(
    login: LoginRequest,
    credentials: RegistryCredentials | undefined,
  ): Promise<string> {
    const challenges = parseChallenges(login.challengeHeader ?? "");
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    const basic = challenges.find(({ scheme }) => scheme === "basic");
    if (bearer !== undefined) return this.#bearer(login, bearer, credentials);
    if (basic !== undefined && credentials !== undefined && "username" in credentials) {
      return this.#hold(login, basicHeader(credentials), LIFETIME_DEFAULT_S);
    }
    throw accessDenied(login.registry, credentials === undefined ? "none" : "unusable");
  }

  async #bearer(
    login: LoginRequest,
    challenge: AuthChallenge,
    credentials: RegistryCredentials | undefined,
  ): Promise<string> {
    const url = this.#realm(login, challenge);
    const service = challenge.parameters.service;
    const answer = await this.#exchange.send({
      ...tokenRequest({ url, service, scopes: login.scopes, credentials }),
      abort: login.abort,
      ...(login.onWait === undefined ? {} : { onWait: login.onWait }),
    });
    const bytes = await readBody(answer.body, TOKEN_BYTES_MAX, `token service ${url.host}`);
    if (answer.status === 400 || answer.status === 401 || answer.status === 403) {
      throw accessDenied(login.registry, credentials === undefined ? "none" : "rejected");
    }
    if (answer.status !== 200) {
      const { retryAtMs } = answer;
      throw new ImageError({
        because: `the token service ${url.host} of registry ${login.registry} answered ${answer.status}`,
        fix: `try again ${retryAtMs === undefined ? "later" : `after ${new Date(retryAtMs).toISOString()}`}`,
        kind: "retryable",
        ...(retryAtMs === undefined ? {} : { retryAtMs }),
      });
    }
    const token = checked(TokenAnswer, parseJson(bytes, "the token"), "token");
    const value = token.token ?? token.access_token ?? "";
    if (!/^[\x21-\x7e]+$/.test(value)) throw accessDenied(login.registry, "unusable");
    return this.#hold(login, `Bearer ${value}`, token.expires_in ?? LIFETIME_DEFAULT_S);
  }

  #realm(login: LoginRequest, challenge: AuthChallenge): URL {
    const realm = challenge.parameters.realm ?? "";
    const url = URL.canParse(realm) ? new URL(realm) : undefined;
    const isPlain = url?.protocol === "http:" && login.origin.protocol === "http:";
    const isAllowed = isPlain && this.#exchange.isPlainAllowed(url.host);
    if (url === undefined || !(url.protocol === "https:" || isAllowed)) {
      throw new ImageError({
        because: `registry ${login.registry} sends its users to ${printable(realm, 100)} to log in`,
        fix: "ask who runs it for a token service on HTTPS",
        kind: "stalled",
      });
    }
    url.username = "";
    url.password = "";
    return url;
  }

  #hold(login: LoginRequest, authorization: string, lifetimeS: number): string {
    if (this.#held.size >= TOKENS_MAX) this.#held.clear();
    const untilMs = this.#now() + lifetimeS * 1000 - LIFETIME_SLACK_MS;
    this.#held.set(keyOf(login.registry, login.scopes), { authorization, untilMs });
    return authorization;
  }
}

/** Docker's token protocol: a GET with Basic credentials, or OAuth2's refresh grant for an identity token. */
function tokenRequest(order: {
  readonly url: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly credentials: RegistryCredentials | undefined;
}): Omit<HttpRequest, "abort"> {
  const { credentials, service, scopes } = order;
  const headers = { accept: "application/json" };
  if (credentials !== undefined && "identityToken" in credentials) {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      client_id: "berth",
      refresh_token: credentials.identityToken,
      ...(service === undefined ? {} : { service }),
      ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
    });
    return {
      method: "POST",
      url: order.url,
      headers: { ...headers, "content-type": "application/x-www-form-urlencoded" },
      body: () => Buffer.from(form.toString()),
    };
  }
  const url = new URL(order.url);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  return {
    method: "GET",
    url,
    headers,
    ...(credentials === undefined ? {} : { authorization: basicHeader(credentials) }),
  };
}

/** The error for 401 and 403, by what we had to offer. */
export function accessDenied(
  registry: string,
  credentials: "none" | "rejected" | "unusable",
): ImageError {
  const why = {
    none: "and this host has no credentials for it",
    rejected: "and rejects this host's credentials",
    unusable: "in a way that this host's credentials cannot answer",
  }[credentials];
  return new ImageError({
    because: `registry ${registry} denies access ${why}`,
    fix: `check the name, and log in with 'berth login ${registry}'`,
    kind: "stalled",
  });
}

function keyOf(registry: string, scopes: readonly string[]): string {
  return `${registry} ${scopes.join(" ")}`;
}

function basicHeader({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
