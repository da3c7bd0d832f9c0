import { setTimeout as sleep } from "node:timers/promises";
import type { Digest } from "../images/digest.ts";
import { ImageError } from "../images/image-error.ts";
import { discard, type HttpAnswer } from "./http-exchange.ts";
import { distrusted, unreachable } from "./http-failures.ts";
import type { PushOrder } from "./push-content.ts";
import { backoffMs } from "./rate-limits.ts";
import { refusal } from "./registry-answers.ts";
import type { RegistryClient } from "./registry-client.ts";
import type { RegistryRequest } from "./registry-transport.ts";

export type BlobPush = Omit<PushOrder, "root"> & {
  readonly blob: { readonly digest: Digest; readonly size: number };
};

const MONOLITHIC_BYTES_MAX = 64 * 1024 * 1024;
const CHUNK_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES_MAX = 64 * 1024 * 1024;
const ATTEMPTS_MAX = 4;
/** What a registry answers that knows no chunks, or none of this kind. */
const noChunks: readonly number[] = [400, 404, 405, 416, 501];

/** Brings a blob into the target's repository unless it is there (distribution-spec 1.1, "Pushing Blobs"). */
export async function pushBlob(client: RegistryClient, push: BlobPush): Promise<void> {
  const { blob, onProgress } = push;
  const tell = (phase: "present" | "mounted" | "done"): void =>
    onProgress({ layer: blob.digest, bytesDone: blob.size, bytesTotal: blob.size, phase });
  onProgress({ layer: blob.digest, bytesDone: 0, bytesTotal: blob.size, phase: "upload" });
  if (await isThere(client, push)) return tell("present");
  if (await isMounted(client, push)) return tell("mounted");
  await upload(client, push);
  tell("done");
}

async function isThere(client: RegistryClient, push: BlobPush): Promise<boolean> {
  const answer = await send(client, push, { method: "HEAD", target: `blobs/${push.blob.digest}` });
  discard(answer);
  if (answer.status === 200) return true;
  if (answer.status === 404) return false;
  throw await refused(answer, push);
}

/** A registry that cannot mount, or does not want to, begins an upload instead: it is left to expire. */
async function isMounted(client: RegistryClient, push: BlobPush): Promise<boolean> {
  for (const from of push.source.mountFrom) {
    if (from === push.target.repository) continue;
    const answer = await send(client, push, {
      method: "POST",
      target: "blobs/uploads/",
      query: { mount: push.blob.digest, from },
      alsoReads: from,
    });
    discard(answer);
    if (answer.status === 201) return true;
    if (answer.status === 202) await cancel(client, push, answer);
  }
  return false;
}

async function cancel(client: RegistryClient, push: BlobPush, begun: HttpAnswer): Promise<void> {
  try {
    const order = { method: "DELETE", target: uploadUrl(begun, push), attemptsMax: 1 } as const;
    discard(await send(client, push, order));
  } catch {
    // Registries drop what is never finished by themselves.
    push.abort.throwIfAborted();
  }
}

async function upload(client: RegistryClient, push: BlobPush): Promise<void> {
  let inChunks = push.blob.size > (push.monolithicBytesMax ?? MONOLITHIC_BYTES_MAX);
  let hasSwitched = false;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = inChunks ? await chunked(client, push) : await monolithic(client, push);
    if (outcome === "done") return;
    if (outcome === "other way" && !hasSwitched) {
      inChunks = !inChunks;
      hasSwitched = true;
      continue;
    }
    if (outcome === "other way") throw neitherWay(push);
    if (attempt >= ATTEMPTS_MAX) throw outcome;
    await sleep(backoffMs(attempt), undefined, { signal: push.abort });
  }
}

/** `other way`: the registry, or a proxy before it, does not take it like this. An error: it may be tried again. */
type Outcome = "done" | "other way" | ImageError;

async function monolithic(client: RegistryClient, push: BlobPush): Promise<Outcome> {
  const { blob, source, abort } = push;
  const begun = await begin(client, push);
  let answer: HttpAnswer;
  try {
    answer = await send(client, push, {
      method: "PUT",
      target: uploadUrl(begun, push),
      query: { digest: blob.digest },
      headers: {
        "content-type": "application/octet-stream",
        "content-length": String(blob.size),
      },
      body: () => counted(source.open(blob, 0, abort), push),
      attemptsMax: 1,
    });
  } catch (error) {
    return mayPass(error, push);
  }
  if (answer.status === 201) return finished(answer);
  if (answer.status === 413) return otherWay(answer);
  return retryOrThrow(await refused(answer, push));
}

async function chunked(client: RegistryClient, push: BlobPush): Promise<Outcome> {
  const { blob, source, abort } = push;
  let last = await begin(client, push);
  const wanted = Number(last.header("oci-chunk-min-length") ?? 0);
  const chunkBytes = Math.min(Math.max(CHUNK_BYTES, wanted || 0), CHUNK_BYTES_MAX);
  let offset = 0;
  for await (const chunk of inChunks(source.open(blob, 0, abort), chunkBytes)) {
    try {
      const answer = await send(client, push, {
        method: "PATCH",
        target: uploadUrl(last, push),
        headers: {
          "content-type": "application/octet-stream",
          "content-length": String(chunk.length),
          "content-range": `${offset}-${offset + chunk.length - 1}`,
        },
        body: () => chunk,
        attemptsMax: 1,
      });
      if (offset === 0 && noChunks.includes(answer.status)) return otherWay(answer);
      if (answer.status !== 202) return retryOrThrow(await refused(answer, push));
      discard(answer);
      last = answer;
    } catch (error) {
      const failure = mayPass(error, push);
      const resumed = await resume(client, push, { last, end: offset + chunk.length });
      if (resumed === undefined) return failure;
      last = resumed;
    }
    offset += chunk.length;
    push.onProgress({
      layer: blob.digest,
      bytesDone: offset,
      bytesTotal: blob.size,
      phase: "upload",
    });
  }
  const answer = await send(client, push, {
    method: "PUT",
    target: uploadUrl(last, push),
    query: { digest: blob.digest },
    headers: { "content-length": "0" },
  });
  return answer.status === 201 ? finished(answer) : retryOrThrow(await refused(answer, push));
}

/**
 * After a broken connection the chunk may have arrived as a whole: then the upload goes on. Of a part nothing is made
 * here, the blob begins anew.
 */
async function resume(
  client: RegistryClient,
  push: BlobPush,
  { last, end }: { readonly last: HttpAnswer; readonly end: number },
): Promise<HttpAnswer | undefined> {
  const answer = await send(client, push, { method: "GET", target: uploadUrl(last, push) });
  discard(answer);
  const kept = /^(?:bytes=)?0-(\d+)$/.exec(answer.header("range") ?? "")?.[1];
  return answer.status === 204 && Number(kept) === end - 1 ? answer : undefined;
}

async function begin(client: RegistryClient, push: BlobPush): Promise<HttpAnswer> {
  const answer = await send(client, push, {
    method: "POST",
    target: "blobs/uploads/",
    headers: { "content-length": "0" },
  });
  if (answer.status !== 202) throw await refused(answer, push);
  discard(answer);
  return answer;
}

type Part = Pick<RegistryRequest, "method" | "target"> &
  Partial<Pick<RegistryRequest, "query" | "headers" | "body" | "attemptsMax" | "alsoReads">>;

function send(client: RegistryClient, push: BlobPush, part: Part): Promise<HttpAnswer> {
  const { target, abort } = push;
  return client.transport.send({
    ...part,
    endpoint: client.endpoints.own(target.registry),
    repository: target.repository,
    actions: "pull,push",
    abort,
  });
}

/** Where an upload goes on. A proxy that ends TLS often lets the registry name itself over plain HTTP. */
function uploadUrl(answer: HttpAnswer, { target }: BlobPush): URL {
  const location = answer.header("location") ?? "";
  const url = URL.canParse(location, answer.url) ? new URL(location, answer.url) : undefined;
  if (url === undefined || location === "" || !/^https?:$/.test(url.protocol)) {
    throw distrusted(target.registry, "it begins an upload without saying where");
  }
  if (answer.url.protocol === "https:") url.protocol = "https:";
  url.username = "";
  url.password = "";
  return url;
}

async function* counted(
  source: AsyncIterable<Buffer>,
  { blob, onProgress }: BlobPush,
): AsyncGenerator<Buffer> {
  let bytesDone = 0;
  for await (const chunk of source) {
    yield chunk;
    bytesDone += chunk.length;
    onProgress({ layer: blob.digest, bytesDone, bytesTotal: blob.size, phase: "upload" });
  }
}

async function* inChunks(source: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const piece of source) {
    for (let start = 0; start < piece.length; ) {
      const part = piece.subarray(start, start + bytes - heldBytes);
      held.push(part);
      heldBytes += part.length;
      start += part.length;
      if (heldBytes < bytes) continue;
      yield Buffer.concat(held);
      held = [];
      heldBytes = 0;
    }
  }
  if (heldBytes > 0) yield Buffer.concat(held);
}

function finished(answer: HttpAnswer): "done" {
  discard(answer);
  return "done";
}

function otherWay(answer: HttpAnswer): "other way" {
  discard(answer);
  return "other way";
}

function retryOrThrow(error: ImageError): ImageError {
  if (error.kind === "stalled" || error.retryAtMs !== undefined) throw error;
  return error;
}

function mayPass(error: unknown, { target, abort }: BlobPush): ImageError {
  abort.throwIfAborted();
  return error instanceof ImageError ? retryOrThrow(error) : unreachable(target.registry, error);
}

function refused(answer: HttpAnswer, { target, blob }: BlobPush): Promise<ImageError> {
  const what = `place for ${blob.digest} in ${target.repository}`;
  return refusal(answer, { registry: target.registry, what });
}

function neitherWay({ target, blob }: BlobPush): ImageError {
  return new ImageError({
    because: `registry ${target.registry} takes ${blob.digest} neither whole nor in chunks`,
    fix: "look at the registry's log, and at the limit for bodies of a proxy before it",
    kind: "stalled",
  });
}
