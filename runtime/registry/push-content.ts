import type { Digest } from "../images/digest.ts";
import { ImageError } from "../images/image-error.ts";
import { INDEX_DEPTH_MAX, LAYERS_AT_ONCE } from "../images/image-limits.ts";
import { type Descriptor, parseManifestDocument } from "../images/manifest-document.ts";
import type { ImageReference } from "../images/reference.ts";
import { Slots } from "../images/slots.ts";
import { discard } from "./http-exchange.ts";
import { type BlobPush, pushBlob } from "./push-blob.ts";
import { refusal } from "./registry-answers.ts";
import type { FetchedManifest, RegistryClient } from "./registry-client.ts";

/** Where what is pushed comes from: a store, or another registry. */
export type PushSource = {
  manifest(entry: Descriptor, abort: AbortSignal): Promise<FetchedManifest>;
  /** The bytes of a blob from `start` on. */
  open(
    blob: { readonly digest: Digest; readonly size: number },
    start: number,
    abort: AbortSignal,
  ): AsyncIterable<Buffer>;
  /** Repositories of the target's registry that may have the blobs already. */
  readonly mountFrom: readonly string[];
};

export type PushProgress = {
  readonly reference: string;
  readonly layer?: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** `present`: the registry had it; `mounted`: it had it in another repository. */
  readonly phase: "upload" | "present" | "mounted" | "done";
};

export type PushOrder = {
  readonly source: PushSource;
  /** A manifest, or an index: then all of its images are pushed before it. */
  readonly root: FetchedManifest;
  readonly target: ImageReference;
  /** What is larger travels in chunks, which can be resumed and pass the limits of proxies. Default: 64 MiB. */
  readonly monolithicBytesMax?: number;
  readonly abort: AbortSignal;
  readonly onProgress: (progress: Omit<PushProgress, "reference">) => void;
};

/** Pushes blobs, then manifests, the one that the tag names last: whoever pulls meanwhile finds the old or the new. */
export async function pushContent(client: RegistryClient, order: PushOrder): Promise<void> {
  const { target } = order;
  const name = target.tag ?? order.root.digest;
  await pushManifest(client, order, {
    manifest: order.root,
    name,
    depth: 0,
    slots: new Slots(LAYERS_AT_ONCE),
    sent: new Set(),
  });
}

type Place = {
  readonly manifest: FetchedManifest;
  /** Tag or digest. */
  readonly name: string;
  readonly depth: number;
  readonly slots: Slots;
  /** Manifests that were sent: an index may name one as often as it likes. */
  readonly sent: Set<Digest>;
};

async function pushManifest(
  client: RegistryClient,
  order: PushOrder,
  { manifest, name, depth, slots, sent }: Place,
): Promise<void> {
  const of = depth === 0 ? "an image" : "anything";
  const document = parseManifestDocument(manifest.bytes, manifest.contentType, of);
  if (document.kind === "index") {
    if (depth >= INDEX_DEPTH_MAX) throw tooDeep();
    for (const entry of document.index.manifests) {
      if (sent.has(entry.digest)) continue;
      sent.add(entry.digest);
      const child = await order.source.manifest(entry, order.abort);
      await pushManifest(client, order, {
        manifest: { contentType: entry.mediaType, ...child },
        name: entry.digest,
        depth: depth + 1,
        slots,
        sent,
      });
    }
  } else {
    await pushBlobs(client, order, [document.manifest.config, ...document.manifest.layers], slots);
  }
  await putManifest(client, order, { manifest, name, mediaType: document.mediaType });
}

/** A few at once; the first failure ends the others. */
async function pushBlobs(
  client: RegistryClient,
  order: PushOrder,
  descriptors: readonly Descriptor[],
  slots: Slots,
): Promise<void> {
  const siblings = new AbortController();
  const abort = AbortSignal.any([order.abort, siblings.signal]);
  const distinct = new Map(descriptors.map((blob) => [blob.digest, blob] as const));
  const pushes = [...distinct.values()].map(async ({ digest, size }) => {
    const push: BlobPush = { ...order, abort, blob: { digest, size } };
    try {
      await slots.use(abort, () => pushBlob(client, push));
    } catch (error) {
      siblings.abort(error);
      throw error;
    }
  });
  const results = await Promise.allSettled(pushes);
  order.abort.throwIfAborted();
  const failed = results.find((result) => result.status === "rejected");
  // The first that failed is why the others were aborted.
  if (failed !== undefined) throw siblings.signal.reason ?? failed.reason;
}

async function putManifest(
  client: RegistryClient,
  { target, abort }: PushOrder,
  put: { readonly manifest: FetchedManifest; readonly name: string; readonly mediaType: string },
): Promise<void> {
  const { manifest, name, mediaType } = put;
  const answer = await client.transport.send({
    method: "PUT",
    endpoint: client.endpoints.own(target.registry),
    repository: target.repository,
    target: `manifests/${name}`,
    headers: { "content-type": mediaType },
    body: () => manifest.bytes,
    actions: "pull,push",
    abort,
  });
  if (answer.status !== 201) {
    const what = `place for ${name} in ${target.repository}`;
    throw await refusal(answer, { registry: target.registry, what });
  }
  discard(answer);
  const kept = answer.header("docker-content-digest");
  if (kept === undefined || kept === manifest.digest) return;
  throw new ImageError({
    because: `registry ${target.registry} kept the manifest as ${kept.slice(0, 80)}, not as ${manifest.digest}`,
    fix: "the registry or something in between changes content: ask who runs it",
    kind: "stalled",
  });
}

function tooDeep(): ImageError {
  return new ImageError({
    because: `its indexes are nested deeper than ${INDEX_DEPTH_MAX}`,
    fix: "push its images one by one",
    kind: "stalled",
  });
}
