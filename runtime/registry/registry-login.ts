import * as z from "zod";
import { ImageError, printable } from "../images/image-error.ts";
import { checked, parseJson } from "../images/manifest-document.ts";
import { readBody } from "../images/read-body.ts";
import { type AuthChallenge, parseChallenges } from "./auth-challenge.ts";
import { type RegistryCredentials, readCredentials } from "./docker-config.ts";
import type { HttpExchange } from "./http-exchange.ts";
import { isPlainHttpAllowed } from "./registry-address.ts";

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
  readonly scope: string;
  readonly challengeHeader: string | undefined;
  readonly abort: AbortSignal;
};

/** Answers the 401 of registries: Bearer by their token service (also anonymously), Basic with credentials. */
export class RegistryLogin {
  readonly #exchange: HttpExchange;
  readonly #insecureRegistries: readonly string[];
  readonly #now: () => number;
  readonly #held = new Map<string, Held>();

  constructor(options: {
    exchange: HttpExchange;
    insecureRegistries: readonly string[];
    now: () => number;
  }) {
    this.#exchange = options.exchange;
    this.#insecureRegistries = options.insecureRegistries;
    this.#now = options.now;
  }

  /** The Authorization header that an earlier answer earned, while it lasts. */
  held(registry: string, scope: string): string | undefined {
    const entry = this.#held.get(`${registry} ${scope}`);
    return entry !== undefined && entry.untilMs > this.#now() ? entry.authorization : undefined;
  }

  /** The Authorization header that answers a challenge. Fails when the registry wants what we do not have. */
  async answer(login: LoginRequest): Promise<string> {
    const challenges = parseChallenges(login.challengeHeader ?? "");
    const credentials = await readCredentials(login.registry);
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    const basic = challenges.find(({ scheme }) => scheme === "basic");
    if (bearer !== undefined) return this.#bearer(login, bearer, credentials);
    if (basic !== undefined && credentials !== undefined) {
      return this.#hold(login, basicHeader(credentials), LIFETIME_DEFAULT_S);
    }
    throw accessDenied(login.registry, credentials === undefined ? "none" : "unusable");
  }

  forget(registry: string, scope: string): void {
    this.#held.delete(`${registry} ${scope}`);
  }

  async #bearer(
    login: LoginRequest,
    challenge: AuthChallenge,
    credentials: RegistryCredentials | undefined,
  ): Promise<string> {
    const url = this.#tokenUrl(login, challenge);
    const answer = await this.#exchange.send({
      method: "GET",
      url,
      headers: { accept: "application/json" },
      ...(credentials === undefined ? {} : { authorization: basicHeader(credentials) }),
      abort: login.abort,
    });
    const bytes = await readBody(answer.body, TOKEN_BYTES_MAX, `token service ${url.host}`);
    if (answer.status === 401 || answer.status === 403) {
      throw accessDenied(login.registry, credentials === undefined ? "none" : "rejected");
    }
    if (answer.status !== 200) {
      throw new ImageError({
        because: `the token service ${url.host} of registry ${login.registry} answered ${answer.status}`,
        fix: "try again later",
        kind: "retryable",
      });
    }
    const token = checked(TokenAnswer, parseJson(bytes, "the token"), "token");
    const value = token.token ?? token.access_token ?? "";
    if (!/^[\x21-\x7e]+$/.test(value)) throw accessDenied(login.registry, "unusable");
    return this.#hold(login, `Bearer ${value}`, token.expires_in ?? LIFETIME_DEFAULT_S);
  }

  #tokenUrl(login: LoginRequest, challenge: AuthChallenge): URL {
    const realm = challenge.parameters.realm ?? "";
    const url = URL.canParse(realm) ? new URL(realm) : undefined;
    const isPlain = url?.protocol === "http:" && login.origin.protocol === "http:";
    const isAllowed = isPlain && isPlainHttpAllowed(url.host, this.#insecureRegistries);
    if (url === undefined || !(url.protocol === "https:" || isAllowed)) {
      throw new ImageError({
        because: `registry ${login.registry} sends its users to ${printable(realm, 100)} to log in`,
        fix: "ask who runs it for a token service on HTTPS",
        kind: "stalled",
      });
    }
    url.username = "";
    url.password = "";
    const service = challenge.parameters.service;
    if (service !== undefined) url.searchParams.set("service", service);
    url.searchParams.set("scope", login.scope);
    return url;
  }

  #hold(login: LoginRequest, authorization: string, lifetimeS: number): string {
    if (this.#held.size >= TOKENS_MAX) this.#held.clear();
    const untilMs = this.#now() + lifetimeS * 1000 - LIFETIME_SLACK_MS;
    this.#held.set(`${login.registry} ${login.scope}`, { authorization, untilMs });
    return authorization;
  }
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
    fix: `check the name, and the entry for ${registry} in Docker's config.json (docker login)`,
    kind: "stalled",
  });
}

function basicHeader({ username, password }: RegistryCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
