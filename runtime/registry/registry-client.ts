import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { type Digest, digestOf, isDigest } from "../images/digest.ts";
import { ImageError, printable } from "../images/image-error.ts";
import { DOCUMENT_BYTES_MAX } from "../images/image-limits.ts";
import { parseJson } from "../images/manifest-document.ts";
import { indexTypes, manifestTypes } from "../images/media-types.ts";
import { readBody } from "../images/read-body.ts";
import type { ImageReference } from "../images/reference.ts";
import { backoffMs, type HttpAnswer, HttpExchange, unreachable } from "./http-exchange.ts";
import { apiHost, isPlainHttpAllowed } from "./registry-address.ts";
import { accessDenied, RegistryLogin } from "./registry-login.ts";

const DOCUMENT_DEADLINE_MS = 60_000;
const BLOB_DEADLINE_BASE_MS = 300_000;
/** Slower than this on average and the registry is taken for one that stalls on purpose. */
const BLOB_BYTES_PER_SECOND_MIN = 16 * 1024;
/** Node's timers fire at once beyond it. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const BLOB_ATTEMPTS_MAX = 5;
const ERROR_BODY_BYTES_MAX = 64 * 1024;

export type FetchedManifest = {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly contentType?: string;
};

const ErrorAnswer = z.object({
  errors: z
    .array(z.object({ code: z.string().optional(), message: z.string().optional() }))
    .optional(),
});

type Repository = Pick<ImageReference, "registry" | "repository">;

/** Client of the OCI distribution-spec 1.1 (and of Docker's registry v2), the pulling half. */
export class RegistryClient {
  readonly #exchange: HttpExchange;
  readonly #login: RegistryLogin;
  readonly #insecureRegistries: readonly string[];
  readonly #origins = new Map<string, URL>();

  constructor(options: { insecureRegistries: readonly string[]; now: () => number }) {
    this.#exchange = new HttpExchange(options);
    this.#login = new RegistryLogin({ ...options, exchange: this.#exchange });
    this.#insecureRegistries = options.insecureRegistries;
  }

  /** The digest that a reference names now, as the registry claims it. */
  async resolve(reference: ImageReference, abort: AbortSignal): Promise<Digest> {
    if (reference.digest !== undefined) return reference.digest;
    const deadline = AbortSignal.any([abort, AbortSignal.timeout(DOCUMENT_DEADLINE_MS)]);
    const answer = await this.#manifestRequest("HEAD", reference, deadline);
    answer.body.on("error", () => {}).destroy();
    const claimed = answer.header("docker-content-digest");
    if (answer.status === 200 && claimed !== undefined && isDigest(claimed)) return claimed;
    return (await this.manifest(reference, abort)).digest;
  }

  /** The raw manifest or index; its digest is computed here and checked where the reference names one. */
  async manifest(reference: ImageReference, abort: AbortSignal): Promise<FetchedManifest> {
    const deadline = AbortSignal.any([abort, AbortSignal.timeout(DOCUMENT_DEADLINE_MS)]);
    const answer = await this.#manifestRequest("GET", reference, deadline);
    if (answer.status !== 200) throw await refusal(reference, answer);
    const sender = `registry ${reference.registry}`;
    const bytes = await readBody(answer.body, DOCUMENT_BYTES_MAX, sender).catch((error) => {
      throw error instanceof ImageError ? error : unreachable(reference.registry, error);
    });
    const digest = digestOf(bytes);
    if (reference.digest !== undefined && reference.digest !== digest) {
      throw new ImageError({
        because: `registry ${reference.registry} sent a manifest whose digest is ${digest}, not ${reference.digest}`,
        fix: "the registry or something in between changes content: ask who runs it",
        kind: "stalled",
      });
    }
    const contentType = answer.header("content-type");
    return { bytes, digest, ...(contentType === undefined ? {} : { contentType }) };
  }

  /**
   * The bytes of a blob, not yet verified. Resumes by Range after a broken connection. The digest is the caller's
   * to check; `size` only tells when the blob is complete.
   */
  async *blob(
    repository: Repository,
    blob: { readonly digest: Digest; readonly size: number },
    abort: AbortSignal,
  ): AsyncGenerator<Buffer> {
    const sendingMs = Math.ceil((blob.size / BLOB_BYTES_PER_SECOND_MIN) * 1000);
    const deadlineMs = Math.min(BLOB_DEADLINE_BASE_MS + sendingMs, TIMER_MS_MAX);
    const deadline = AbortSignal.any([abort, AbortSignal.timeout(deadlineMs)]);
    let offset = 0;
    for (let attempt = 1; ; attempt += 1) {
      try {
        for await (const chunk of this.#blobPart(repository, blob.digest, offset, deadline)) {
          offset += chunk.length;
          yield chunk;
        }
        if (offset >= blob.size) return;
        throw new Error(`the blob ended after ${offset} of ${blob.size} bytes`);
      } catch (error) {
        abort.throwIfAborted();
        if (error instanceof ImageError) throw error;
        if (attempt >= BLOB_ATTEMPTS_MAX || deadline.aborted) {
          throw unreachable(repository.registry, error);
        }
      }
      await sleep(backoffMs(attempt), undefined, { signal: deadline });
    }
  }

  async *#blobPart(
    repository: Repository,
    digest: Digest,
    offset: number,
    abort: AbortSignal,
  ): AsyncGenerator<Buffer> {
    const path = `${repository.repository}/blobs/${digest}`;
    const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
    const answer = await this.#send("GET", repository, path, headers, abort);
    if (answer.status !== 200 && answer.status !== 206) {
      throw await refusal({ ...repository, digest }, answer);
    }
    let skip = offset;
    if (answer.status === 206) {
      const range = /^bytes (\d+)-/.exec(answer.header("content-range") ?? "");
      skip = offset - Number(range?.[1] ?? Number.NaN);
      if (skip !== 0) throw new Error("the registry answered with another range than asked for");
    }
    for await (const chunk of answer.body) {
      const fresh = chunk.subarray(Math.min(skip, chunk.length));
      skip -= chunk.length - fresh.length;
      if (fresh.length > 0) yield fresh;
    }
  }

  #manifestRequest(
    method: "GET" | "HEAD",
    reference: ImageReference,
    abort: AbortSignal,
  ): Promise<HttpAnswer> {
    const path = `${reference.repository}/manifests/${reference.digest ?? reference.tag ?? "latest"}`;
    const accept = [...indexTypes, ...manifestTypes].join(", ");
    return this.#send(method, reference, path, { accept }, abort);
  }

  async #send(
    method: "GET" | "HEAD",
    repository: Repository,
    path: string,
    headers: Readonly<Record<string, string>>,
    abort: AbortSignal,
  ): Promise<HttpAnswer> {
    const { registry } = repository;
    const origin = await this.#origin(registry, abort);
    const url = new URL(`/v2/${path}`, origin);
    const scope = `repository:${repository.repository}:pull`;
    const held = this.#login.held(registry, scope);
    const order = { method, url, headers, abort };
    const first = await this.#exchange.send(
      held === undefined ? order : { ...order, authorization: held },
    );
    if (first.status !== 401) return first;
    first.body.on("error", () => {}).destroy();
    const challengeHeader = first.header("www-authenticate");
    const login = { registry, origin, scope, challengeHeader, abort };
    const authorization = await this.#login.answer(login);
    const second = await this.#exchange.send({ ...order, authorization });
    if (second.status === 401) this.#login.forget(registry, scope);
    return second;
  }

  /** HTTPS, and where plain HTTP is allowed that too when nothing speaks HTTPS there, as Docker does it. */
  async #origin(registry: string, abort: AbortSignal): Promise<URL> {
    const known = this.#origins.get(registry);
    if (known !== undefined) return known;
    const host = apiHost(registry);
    const secure = new URL(`https://${host}/`);
    if (!isPlainHttpAllowed(host, this.#insecureRegistries)) return secure;
    const plain = new URL(`http://${host}/`);
    const origin = (await this.#answers(secure, abort)) ? secure : plain;
    // Held only once it has answered: a registry that is down now may speak HTTPS when it is back.
    if (origin === secure || (await this.#answers(plain, abort)))
      this.#origins.set(registry, origin);
    return origin;
  }

  async #answers(origin: URL, abort: AbortSignal): Promise<boolean> {
    const url = new URL("/v2/", origin);
    try {
      const order = { method: "GET", url, headers: {}, abort, attemptsMax: 1 } as const;
      const answer = await this.#exchange.send(order);
      answer.body.on("error", () => {}).destroy();
      return true;
    } catch {
      abort.throwIfAborted();
      return false;
    }
  }
}

async function refusal(
  reference: ImageReference & { readonly digest?: Digest },
  answer: HttpAnswer,
): Promise<ImageError> {
  const { registry } = reference;
  const said = await errorText(answer);
  const status = `${answer.status}${said === "" ? "" : ` (${said})`}`;
  if (answer.status === 401 || answer.status === 403) return accessDenied(registry, "rejected");
  if (answer.status === 404) {
    const what = reference.digest === undefined ? `tag ${reference.tag}` : reference.digest;
    return new ImageError({
      because: `registry ${registry} has no ${what} of ${reference.repository}: it answered ${status}`,
      fix: "check the name and the tag, and that the image was pushed",
      kind: "stalled",
    });
  }
  if (answer.status === 429) {
    const after = answer.header("retry-after");
    return new ImageError({
      because: `registry ${registry} limits the rate of this host's pulls: it answered ${status}`,
      fix: `try again ${after === undefined ? "later" : `after ${printable(after, 40)} s`} or log in to it`,
      kind: "retryable",
    });
  }
  return new ImageError({
    because: `registry ${registry} answered ${status}`,
    fix: answer.status >= 500 ? "try again later or look at the registry's log" : "check the name",
    kind: answer.status >= 500 ? "retryable" : "stalled",
  });
}

/** What the registry says of its error (distribution-spec, "Error Codes"), as one safe line. */
async function errorText(answer: HttpAnswer): Promise<string> {
  try {
    const body = parseJson(await readBody(answer.body, ERROR_BODY_BYTES_MAX, "it"), "the error");
    const first = ErrorAnswer.parse(body).errors?.[0];
    return printable(first?.message ?? first?.code ?? "", 200);
  } catch {
    return "";
  }
}
