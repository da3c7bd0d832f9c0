import * as z from "zod";
import type { Digest } from "../images/digest.ts";
import { ImageError } from "../images/image-error.ts";
import { checked, parseJson, parseManifestDocument } from "../images/manifest-document.ts";
import { choosePlatform, hostPlatform } from "../images/platform.ts";
import { readBody } from "../images/read-body.ts";
import { formatReference, type ImageReference } from "../images/reference.ts";
import { discard } from "./http-exchange.ts";
import { type PushProgress, pushContent } from "./push-content.ts";
import { refusal } from "./registry-answers.ts";
import type { RegistryClient, Repository } from "./registry-client.ts";

const PAGE_TAGS = 1000;
const PAGES_MAX = 100;
const PAGE_BYTES_MAX = 4 * 1024 * 1024;
const DEADLINE_MS = 120_000;

const TagPage = z.object({ tags: z.array(z.string().max(128)).nullish() });

/** Every tag of a repository, as the registry sorts them (distribution-spec, "Listing Tags"). */
export async function listTags(
  client: RegistryClient,
  { registry, repository }: Repository,
  abort: AbortSignal,
): Promise<readonly string[]> {
  const deadline = AbortSignal.any([abort, AbortSignal.timeout(DEADLINE_MS)]);
  const tags = new Set<string>();
  let last: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await client.transport.send({
      method: "GET",
      endpoint: client.endpoints.own(registry),
      repository,
      target: "tags/list",
      query: { n: String(PAGE_TAGS), ...(last === undefined ? {} : { last }) },
      headers: { accept: "application/json" },
      actions: "pull",
      abort: deadline,
    });
    if (answer.status !== 200) throw await refusal(answer, { registry, what: repository });
    const bytes = await readBody(answer.body, PAGE_BYTES_MAX, `registry ${registry}`);
    const found = checked(TagPage, parseJson(bytes, "the list of tags"), "list of tags").tags ?? [];
    for (const tag of found) tags.add(tag);
    const next = found.at(-1);
    if (answer.header("link") === undefined || next === undefined || next === last)
      return [...tags];
    last = next;
  }
  return [...tags];
}

/**
 * Deletes a tag, or with a digest a manifest and with it all of its tags. Many registries know only the latter, which is
 * then never done in the place of the former.
 */
export async function deleteContent(
  client: RegistryClient,
  reference: ImageReference,
  abort: AbortSignal,
): Promise<void> {
  const { registry, repository, digest, tag } = reference;
  const answer = await client.transport.send({
    method: "DELETE",
    endpoint: client.endpoints.own(registry),
    repository,
    target: `manifests/${digest ?? tag}`,
    actions: "delete",
    abort: AbortSignal.any([abort, AbortSignal.timeout(DEADLINE_MS)]),
  });
  if (answer.status === 202 || answer.status === 200) return discard(answer);
  if (answer.status === 405 || (digest === undefined && answer.status === 400)) {
    discard(answer);
    throw new ImageError({
      because:
        digest === undefined
          ? `registry ${registry} deletes no single tags`
          : `registry ${registry} is set up to delete nothing`,
      fix:
        digest === undefined
          ? `name the digest (${registry}/${repository}@sha256:…) to delete the manifest with all of its tags`
          : "allow deletion in its configuration",
      kind: "stalled",
    });
  }
  const what = `${digest ?? `tag ${tag}`} of ${repository}`;
  throw await refusal(answer, { registry, what });
}

/** Copies from one repository to another without this host's store; of an index this host's image, or all of it. */
export async function copyContent(
  client: RegistryClient,
  order: {
    readonly from: ImageReference;
    readonly to: ImageReference;
    readonly all: boolean;
    readonly abort: AbortSignal;
    readonly onProgress: (progress: PushProgress) => void;
  },
): Promise<Digest> {
  const { from, to, abort } = order;
  const { registry, repository } = from;
  const fetch = (digest: Digest, signal: AbortSignal) =>
    client.manifest({ registry, repository, digest }, { abort: signal });
  const top = await fetch(await client.resolve(from, { abort }), abort);
  const document = parseManifestDocument(top.bytes, top.contentType);
  const root =
    document.kind === "index" && !order.all
      ? await fetch(choosePlatform(document.index.manifests, hostPlatform()).digest, abort)
      : top;
  if (to.digest !== undefined && to.digest !== root.digest) {
    throw new ImageError({
      because: `the name has the digest ${to.digest} and the image ${root.digest}`,
      fix: "copy it to a tag",
      kind: "stalled",
    });
  }
  const reference = formatReference(to);
  await pushContent(client, {
    source: {
      manifest: (entry, signal) => fetch(entry.digest, signal),
      open: (blob, start, signal) => client.blob(from, blob, { abort: signal, start }),
      mountFrom: from.registry === to.registry ? [from.repository] : [],
    },
    root,
    target: to,
    abort,
    onProgress: (progress) => order.onProgress({ reference, ...progress }),
  });
  return root.digest;
}
