import * as z from "zod";
import type { BlobStore } from "./blob-store.ts";
import { sniffCompression } from "./compression.ts";
import type { Digest } from "./digest.ts";
import { ImageError, printable } from "./image-error.ts";
import { LAYERS_MAX } from "./image-limits.ts";
import { checked, parseJson } from "./manifest-document.ts";
import { layerType, OCI_CONFIG, OCI_MANIFEST } from "./media-types.ts";
import { formatReference, parseReference } from "./reference.ts";
import type { ArchiveContents } from "./take-archive.ts";

const DockerManifest = z
  .array(
    z.object({
      Config: z.string(),
      RepoTags: z.array(z.string()).nullish(),
      Layers: z.array(z.string()).max(LAYERS_MAX),
    }),
  )
  .min(1)
  .max(1000);

type StoredFile = { readonly digest: Digest; readonly size: number };

/**
 * The images of a `docker save` archive. They have no manifest of their own: one is written from manifest.json, the
 * same bytes each time, so that loading the same archive again gives the same digest.
 */
export async function readDockerArchive(
  contents: ArchiveContents,
  blobs: BlobStore,
): Promise<readonly { manifest: Buffer; references: readonly string[] }[]> {
  const bytes = contents.documents.get("manifest.json");
  if (bytes === undefined) {
    throw new ImageError({
      because: "it holds neither an OCI layout nor a manifest.json",
      fix: "name an OCI layout directory, an oci-archive or a docker-archive",
      kind: "stalled",
    });
  }
  const what = "manifest.json";
  const images: { manifest: Buffer; references: readonly string[] }[] = [];
  for (const entry of checked(DockerManifest, parseJson(bytes, what), what)) {
    const layers: unknown[] = [];
    for (const path of entry.Layers) layers.push(await layerDescriptor(contents, blobs, path));
    const config = { mediaType: OCI_CONFIG, ...findFile(contents, entry.Config) };
    const document = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers };
    const references = (entry.RepoTags ?? []).map((name) => formatReference(parseReference(name)));
    images.push({ manifest: Buffer.from(JSON.stringify(document)), references });
  }
  return images;
}

async function layerDescriptor(
  contents: ArchiveContents,
  blobs: BlobStore,
  path: string,
): Promise<{ mediaType: string; digest: Digest; size: number }> {
  const { digest, size } = findFile(contents, path);
  const compression = sniffCompression(await blobs.head(digest, 4));
  return { mediaType: layerType(compression), digest, size };
}

/** Old archives hold a layer once and link to it from the images that share it. */
function findFile(contents: ArchiveContents, path: string): StoredFile {
  let name = path.replace(/^(\.\/)+/, "");
  for (let hop = 0; hop < 8; hop += 1) {
    const file = contents.files.get(name);
    if (file !== undefined) return { digest: file.digest, size: file.size };
    const target = contents.aliases.get(name);
    if (target === undefined) break;
    name = target;
  }
  throw new ImageError({
    because: `the archive lacks ${printable(path, 100)}, which its manifest.json names`,
    fix: "export the image again",
    kind: "stalled",
  });
}
