import { setTimeout as sleep } from "node:timers/promises";
import { type Digest, digestOf, isDigest } from "../images/digest.ts";
import { ImageError } from "../images/image-error.ts";
import { DOCUMENT_BYTES_MAX } from "../images/image-limits.ts";
import { indexTypes, manifestTypes } from "../images/media-types.ts";
import { readBody } from "../images/read-body.ts";
import type { ImageReference } from "../images/reference.ts";
import type { Log } from "../runtime.ts";
import { discard, type HttpAnswer } from "./http-exchange.ts";
import { unreachable } from "./http-failures.ts";
import { backoffMs, type RateWait } from "./rate-limits.ts";
import { refusal } from "./registry-answers.ts";
import { type Endpoint, RegistryEndpoints } from "./registry-endpoints.ts";
import type { RegistrySettings } from "./registry-settings.ts";
import { RegistryTransport } from "./registry-transport.ts";

const DOCUMENT_DEADLINE_MS = 60_000;
const BLOB_DEADLINE_BASE_MS = 300_000;
/** Slower than this on average and the registry is taken for one that stalls on purpose. */
const BLOB_BYTES_PER_SECOND_MIN = 16 * 1024;
/** Node's timers fire at once beyond it. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const BLOB_ATTEMPTS_MAX = 5;

export type FetchedManifest = {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly contentType?: string;
};

export type Repository = Pick<ImageReference, "registry" | "repository">;

/** What holds for one piece of work. */
export type ReadOptions = {
  readonly abort: AbortSignal;
  readonly onWait?: ((wait: RateWait) => void) | undefined;
};

/** Client of the OCI distribution-spec 1.1 (and of Docker's registry v2), the reading half. */
export class RegistryClient {
  readonly transport: RegistryTransport;
  readonly endpoints: RegistryEndpoints;
  readonly #log: Log;

  constructor(options: { settings: RegistrySettings; now: () => number; log: Log }) {
    this.transport = new RegistryTransport(options);
    this.endpoints = new RegistryEndpoints(options);
    this.#log = options.log;
  }

  /** The digest that a reference names now, as the registry or a mirror of it claims. */
  async resolve(reference: ImageReference, options: ReadOptions): Promise<Digest> {
    if (reference.digest !== undefined) return reference.digest;
    return this.#fromFirst(reference, options, async (endpoint, abort) => {
      const order = { endpoint, reference, options: { ...options, abort } };
      const answer = await this.#manifestRequest("HEAD", order);
      discard(answer);
      const claimed = answer.header("docker-content-digest");
      if (answer.status === 200 && claimed !== undefined && isDigest(claimed)) return claimed;
      return (await this.#manifestFrom(order)).digest;
    });
  }

  /** The raw manifest or index; its digest is computed here and checked where the reference names one. */
  manifest(reference: ImageReference, options: ReadOptions): Promise<FetchedManifest> {
    return this.#fromFirst(reference, options, (endpoint, abort) =>
      this.#manifestFrom({ endpoint, reference, options: { ...options, abort } }),
    );
  }

  /** As `manifest`; undefined when the registry has none by this name. */
  manifestIfThere(
    reference: ImageReference,
    options: ReadOptions,
  ): Promise<FetchedManifest | undefined> {
    return this.#fromFirst(reference, options, (endpoint, abort) =>
      this.#manifestFrom({ endpoint, reference, options: { ...options, abort } }).catch((error) =>
        noneIfAbsent(endpoint, error),
      ),
    );
  }

  /**
   * The index of what refers to a manifest, by the referrers API, or by the tag that stands in for it where a registry
   * has no such API (distribution-spec 1.1, "Listing Referrers"). Undefined when nothing does.
   */
  async referrers(
    subject: Repository & { readonly digest: Digest },
    artifactType: string,
    options: ReadOptions,
  ): Promise<Buffer | undefined> {
    const found = await this.#fromFirst(subject, options, (endpoint, abort) =>
      this.#referrersFrom(endpoint, { subject, artifactType, options: { ...options, abort } }),
    );
    if (found !== undefined) return found;
    const { registry, repository, digest } = subject;
    const tag = digest.replace(":", "-");
    return (await this.manifestIfThere({ registry, repository, tag }, options))?.bytes;
  }

  /**
   * The bytes of a blob, not yet verified. Goes on by Range after a broken connection, also at the next endpoint. The
   * digest is the caller's to check; `size` only tells when the blob is complete.
   */
  async *blob(
    repository: Repository,
    blob: { readonly digest: Digest; readonly size: number },
    options: ReadOptions & { readonly start?: number },
  ): AsyncGenerator<Buffer> {
    const sendingMs = Math.ceil((blob.size / BLOB_BYTES_PER_SECOND_MIN) * 1000);
    const deadlineMs = Math.min(BLOB_DEADLINE_BASE_MS + sendingMs, TIMER_MS_MAX);
    const deadline = AbortSignal.any([options.abort, AbortSignal.timeout(deadlineMs)]);
    const mirrors = [...this.endpoints.mirrors(repository.registry)];
    let offset = options.start ?? 0;
    for (let attempt = 1; ; ) {
      const endpoint = mirrors.shift() ?? this.endpoints.own(repository.registry);
      const part = { endpoint, repository, digest: blob.digest, offset };
      try {
        for await (const chunk of this.#blobPart(part, { ...options, abort: deadline })) {
          offset += chunk.length;
          yield chunk;
        }
        if (offset >= blob.size) return;
        throw new Error(`the blob ended after ${offset} of ${blob.size} bytes`);
      } catch (error) {
        options.abort.throwIfAborted();
        if (endpoint.mirrorOf !== undefined && !deadline.aborted) {
          this.#passOver(endpoint, error);
          continue;
        }
        if (error instanceof ImageError) throw error;
        if (attempt >= BLOB_ATTEMPTS_MAX || deadline.aborted) {
          throw unreachable(endpoint.name, error);
        }
      }
      await sleep(backoffMs(attempt), undefined, { signal: deadline });
      attempt += 1;
    }
  }

  async *#blobPart(
    part: {
      readonly endpoint: Endpoint;
      readonly repository: Repository;
      readonly digest: Digest;
      readonly offset: number;
    },
    options: ReadOptions,
  ): AsyncGenerator<Buffer> {
    const { endpoint, repository, digest, offset } = part;
    const answer = await this.transport.send({
      ...options,
      ...attemptsOf(endpoint),
      method: "GET",
      endpoint,
      repository: repository.repository,
      target: `blobs/${digest}`,
      headers: offset === 0 ? {} : { range: `bytes=${offset}-` },
      actions: "pull",
    });
    if (answer.status !== 200 && answer.status !== 206) {
      const what = `${digest} of ${repository.repository}`;
      throw await refusal(answer, { registry: endpoint.name, what });
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

  async #manifestFrom(order: ManifestOrder): Promise<FetchedManifest> {
    const { endpoint, reference } = order;
    const answer = await this.#manifestRequest("GET", order);
    if (answer.status !== 200) {
      throw await refusal(answer, { registry: endpoint.name, what: describeTarget(reference) });
    }
    const sender = `registry ${endpoint.name}`;
    const bytes = await readBody(answer.body, DOCUMENT_BYTES_MAX, sender).catch((error) => {
      throw error instanceof ImageError ? error : unreachable(endpoint.name, error);
    });
    const digest = digestOf(bytes);
    if (reference.digest !== undefined && reference.digest !== digest) {
      throw new ImageError({
        because: `${sender} sent a manifest whose digest is ${digest}, not ${reference.digest}`,
        fix: "the registry or something in between changes content: ask who runs it",
        kind: "stalled",
      });
    }
    // A registry has to announce what it sends: what it leaves open is not guessed.
    return { bytes, digest, contentType: answer.header("content-type") ?? "" };
  }

  async #referrersFrom(
    endpoint: Endpoint,
    order: {
      readonly subject: Repository & { readonly digest: Digest };
      readonly artifactType: string;
      readonly options: ReadOptions;
    },
  ): Promise<Buffer | undefined> {
    const { subject, artifactType, options } = order;
    const answer = await this.transport.send({
      ...options,
      ...attemptsOf(endpoint),
      method: "GET",
      endpoint,
      repository: subject.repository,
      target: `referrers/${subject.digest}`,
      query: { artifactType },
      headers: { accept: indexTypes[0] ?? "" },
      actions: "pull",
    });
    if (answer.status === 200) {
      return readBody(answer.body, DOCUMENT_BYTES_MAX, `registry ${endpoint.name}`);
    }
    const what = `referrers of ${subject.digest}`;
    const error = await refusal(answer, { registry: endpoint.name, what });
    // Registries without the API answer with all kinds of refusals.
    if (endpoint.mirrorOf === undefined && [400, 404, 405, 501].includes(answer.status)) return;
    throw error;
  }

  #manifestRequest(method: "GET" | "HEAD", order: ManifestOrder): Promise<HttpAnswer> {
    const { endpoint, reference, options } = order;
    return this.transport.send({
      ...options,
      ...attemptsOf(endpoint),
      method,
      endpoint,
      repository: reference.repository,
      target: `manifests/${reference.digest ?? reference.tag ?? "latest"}`,
      headers: { accept: [...indexTypes, ...manifestTypes].join(", ") },
      actions: "pull",
    });
  }

  /** The answer of the first endpoint that has one; the registry's own failure when none has. */
  async #fromFirst<T>(
    { registry }: Repository,
    options: ReadOptions,
    ask: (endpoint: Endpoint, abort: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const deadline = (): AbortSignal =>
      AbortSignal.any([options.abort, AbortSignal.timeout(DOCUMENT_DEADLINE_MS)]);
    for (const endpoint of this.endpoints.mirrors(registry)) {
      try {
        return await ask(endpoint, deadline());
      } catch (error) {
        options.abort.throwIfAborted();
        this.#passOver(endpoint, error);
      }
    }
    return ask(this.endpoints.own(registry), deadline());
  }

  /** Leaves the mirrors of a registry alone for a while. False when none was in use. */
  passOverMirrors(registry: string): boolean {
    const mirrors = this.endpoints.mirrors(registry);
    for (const mirror of mirrors) this.endpoints.passOver(mirror);
    return mirrors.length > 0;
  }

  /** A mirror that lacks an image may have the next one; one that does not answer is left alone for a while. */
  #passOver(endpoint: Endpoint, error: unknown): void {
    if (!(error instanceof ImageError) || error.kind === "retryable") {
      this.endpoints.passOver(endpoint);
    }
    const { name, mirrorOf } = endpoint;
    this.#log.warn("mirror passed over", { mirror: name, registry: mirrorOf, error });
  }
}

type ManifestOrder = {
  readonly endpoint: Endpoint;
  readonly reference: ImageReference;
  readonly options: ReadOptions;
};

/** What the registry itself does not have is not there; a mirror may lack what the registry has. */
function noneIfAbsent({ mirrorOf }: Endpoint, error: unknown): undefined {
  if (mirrorOf === undefined && error instanceof ImageError && error.isAbsence) return undefined;
  throw error;
}

/** A mirror has others behind it: it is asked once. */
function attemptsOf({ mirrorOf }: Endpoint): { attemptsMax?: number } {
  return mirrorOf === undefined ? {} : { attemptsMax: 1 };
}

/** `tag 1 of team/app`, or `sha256:… of team/app`. */
function describeTarget({ digest, tag, repository }: ImageReference): string {
  return `${digest ?? `tag ${tag}`} of ${repository}`;
}
