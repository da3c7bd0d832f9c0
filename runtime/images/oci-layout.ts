import { ImageError } from "./image-error.ts";
import type { ImageSource } from "./ingest-image.ts";
import type { LoadableImage } from "./load-image.ts";
import { type Descriptor, parseManifestDocument } from "./manifest-document.ts";
import { indexTypes, manifestTypes } from "./media-types.ts";
import { isRunnable, type Platform } from "./platform.ts";
import { formatReference, parseReference } from "./reference.ts";

/** The images of an `index.json` (OCI image-spec, image-layout.md) that may run here, each once, with its names. */
export async function readOciLayout(
  indexBytes: Buffer,
  source: ImageSource,
  platform: Platform,
  abort: AbortSignal,
): Promise<readonly LoadableImage[]> {
  const document = parseManifestDocument(indexBytes, indexTypes[0]);
  if (document.kind !== "index") {
    throw new ImageError({
      because: "its index.json is not an OCI index",
      fix: "write it again with a tool that makes OCI layouts",
      kind: "stalled",
    });
  }
  const images = new Map<string, LoadableImage>();
  for (const entry of document.index.manifests) {
    if (!isCandidate(entry, platform)) continue;
    const known = images.get(entry.digest);
    const references = [...(known?.references ?? []), ...namesOf(entry)];
    const root = known?.root ?? (await source.manifest(entry, abort));
    checkRoot(source, entry, root.digest);
    images.set(entry.digest, { root, references: [...new Set(references)] });
  }
  return [...images.values()];
}

/** Signatures, attestations and images of other platforms are passed over. */
function isCandidate(entry: Descriptor, platform: Platform): boolean {
  const isImage = indexTypes.includes(entry.mediaType) || manifestTypes.includes(entry.mediaType);
  return isImage && (entry.platform === undefined || isRunnable(entry.platform, platform));
}

function checkRoot(source: ImageSource, entry: Descriptor, actual: string): void {
  if (actual === entry.digest) return;
  throw new ImageError({
    because: `the manifest ${entry.digest} of ${source.name} has the digest ${actual}`,
    fix: "it was changed or damaged: export the image again",
    kind: "stalled",
  });
}

/**
 * containerd and Docker write the full name beside the tag that `ref.name` then holds; others write the name, or
 * only a tag, into `ref.name`. A tag alone names nothing.
 */
function namesOf({ annotations }: Descriptor): readonly string[] {
  const full = annotations?.["io.containerd.image.name"];
  const name = full ?? annotations?.["org.opencontainers.image.ref.name"] ?? "";
  const isTagAlone = /^(latest|v?\d[\w.-]*)$/.test(name);
  if (name === "" || isTagAlone) return [];
  try {
    return [formatReference(parseReference(name))];
  } catch {
    // The annotation may hold anything (image-spec, annotations.md); the image is there without a name.
    return [];
  }
}
