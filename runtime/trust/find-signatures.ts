import * as z from "zod";
import { type Digest, digestHex, parseDigest } from "../images/digest.ts";
import { ImageError } from "../images/image-error.ts";
import { checked, Descriptor, parseJson } from "../images/manifest-document.ts";
import { readBody } from "../images/read-body.ts";
import { verified } from "../images/verified-stream.ts";
import type { ReadOptions, RegistryClient, Repository } from "../registry/registry-client.ts";
import { BUNDLE_TYPE } from "./sigstore-bundle.ts";
import { SIGNATURE_ANNOTATION, SIMPLE_SIGNING_TYPE } from "./simple-signing.ts";

/** A signature as it lies in the registry, of either of cosign's forms. */
export type FoundSignature =
  | { readonly form: "simple"; readonly payload: Buffer; readonly signature: string }
  | { readonly form: "bundle"; readonly bytes: Buffer };

/** So that a registry cannot keep a host busy with rubbish. */
const SIGNATURES_MAX = 32;
const SIGNATURE_BYTES_MAX = 1024 * 1024;

const ArtifactManifest = z.object({ layers: z.array(Descriptor).max(1000) });
const ReferrersIndex = z.object({
  manifests: z.array(Descriptor.and(z.object({ artifactType: z.string().optional() }))).max(10_000),
});

/** What is signed, where, and how long it may take. */
export type SignatureQuery = {
  readonly client: RegistryClient;
  readonly repository: Repository;
  readonly digest: Digest;
  readonly options: ReadOptions;
};

/** Signatures of an image in its own repository: by tag (`sha256-….sig`), then bundles among its referrers. */
export async function* findSignatures(query: SignatureQuery): AsyncGenerator<FoundSignature> {
  let left = SIGNATURES_MAX;
  for (const find of [byTag, byReferrers]) {
    for await (const signature of find(query)) {
      if (left === 0) return;
      left -= 1;
      yield signature;
    }
  }
}

async function* byTag(query: SignatureQuery): AsyncGenerator<FoundSignature> {
  const manifest = await artifact(query, { tag: `sha256-${digestHex(query.digest)}.sig` });
  for (const layer of manifest?.layers ?? []) {
    const signature = layer.annotations?.[SIGNATURE_ANNOTATION];
    if (layer.mediaType !== SIMPLE_SIGNING_TYPE || signature === undefined) continue;
    const payload = await readSmallBlob(query, layer);
    if (payload !== undefined) yield { form: "simple", payload, signature };
  }
}

async function* byReferrers(query: SignatureQuery): AsyncGenerator<FoundSignature> {
  const { client, repository, digest, options } = query;
  const bytes = await client.referrers({ ...repository, digest }, BUNDLE_TYPE, options);
  if (bytes === undefined) return;
  const index = checked(ReferrersIndex, parseJson(bytes, "the list of referrers"), "referrers");
  const bundles = index.manifests.filter(({ artifactType }) => artifactType === BUNDLE_TYPE);
  for (const entry of bundles) {
    const manifest = await artifact(query, { digest: parseDigest(entry.digest) });
    const layer = manifest?.layers.find(({ mediaType }) => mediaType === BUNDLE_TYPE);
    const bundle = layer === undefined ? undefined : await readSmallBlob(query, layer);
    if (bundle !== undefined) yield { form: "bundle", bytes: bundle };
  }
}

async function artifact(
  { client, repository, options }: SignatureQuery,
  name: { readonly tag: string } | { readonly digest: Digest },
): Promise<z.infer<typeof ArtifactManifest> | undefined> {
  const found = await client.manifestIfThere({ ...repository, ...name }, options);
  if (found === undefined) return undefined;
  return checked(ArtifactManifest, parseJson(found.bytes, "a signature"), "signature");
}

/** Undefined when it is too large for one: it is then none. */
async function readSmallBlob(
  { client, repository, options }: SignatureQuery,
  { digest, size }: Descriptor,
): Promise<Buffer | undefined> {
  if (size > SIGNATURE_BYTES_MAX) return undefined;
  const name = `signature ${digest} of registry ${repository.registry}`;
  try {
    const body = verified(client.blob(repository, { digest, size }, options), {
      digest,
      size,
      name,
    });
    return await readBody(body, SIGNATURE_BYTES_MAX, `registry ${repository.registry}`);
  } catch (error) {
    // One that is missing or damaged is no reason to refuse the next.
    if (error instanceof ImageError && error.kind === "stalled") return undefined;
    throw error;
  }
}
