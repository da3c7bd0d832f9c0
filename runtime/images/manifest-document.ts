import * as z from "zod";
import { isDigest } from "./digest.ts";
import { ImageError, printable } from "./image-error.ts";
import { DOCUMENT_BYTES_MAX, LAYERS_MAX } from "./image-limits.ts";
import { configTypes, indexTypes, layerTypes, manifestTypes } from "./media-types.ts";

// Unknown fields are passed over in all of these: the formats belong to others and grow.

export const DigestField = z.string().refine(isDigest, "a sha256 digest is expected");
const SizeField = z.int().nonnegative();

export const Descriptor = z.object({
  mediaType: z.string(),
  digest: DigestField,
  size: SizeField,
  annotations: z.record(z.string(), z.string()).optional(),
  platform: z
    .object({ os: z.string(), architecture: z.string(), variant: z.string().optional() })
    .transform(({ os, architecture, variant }) => ({
      os,
      architecture,
      ...(variant === undefined || variant === "" ? {} : { variant }),
    }))
    .optional(),
});
export type Descriptor = z.infer<typeof Descriptor>;

const ImageManifest = z.object({
  schemaVersion: z.literal(2),
  config: Descriptor,
  layers: z.array(Descriptor).max(LAYERS_MAX),
});
export type ImageManifest = z.infer<typeof ImageManifest>;

const ImageIndex = z.object({
  schemaVersion: z.literal(2),
  manifests: z.array(Descriptor).min(1).max(10_000),
});
export type ImageIndex = z.infer<typeof ImageIndex>;

export type ManifestDocument =
  | { readonly kind: "manifest"; readonly mediaType: string; readonly manifest: ImageManifest }
  | { readonly kind: "index"; readonly mediaType: string; readonly index: ImageIndex };

/**
 * Reads a manifest or an index. What it is follows from its own `mediaType` and from what announced it (the
 * Content-Type or a descriptor), which must agree: the same bytes read in two ways are CVE-2021-41190. The OCI image-spec
 * lets a document leave its type out: without an announcement, as from the store, its fields say it. `of: "anything"`: also
 * what is no image, such as the attestations that builders put beside one.
 */
export function parseManifestDocument(
  bytes: Uint8Array,
  announced?: string,
  of: "an image" | "anything" = "an image",
): ManifestDocument {
  const document = parseJson(bytes, "the manifest");
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw refused("its manifest is not a JSON object");
  }
  if ("manifests" in document && ("layers" in document || "config" in document)) {
    throw refused("its manifest is a manifest and an index at once (CVE-2021-41190)");
  }
  const own = "mediaType" in document ? document.mediaType : undefined;
  const mediaType = agreedType(own, announced ?? typeByFields(document));
  if (indexTypes.includes(mediaType)) {
    return { kind: "index", mediaType, index: checked(ImageIndex, document, "index") };
  }
  const manifest = checked(ImageManifest, document, "manifest");
  if (of === "an image") refuseOtherContent(manifest);
  return { kind: "manifest", mediaType, manifest };
}

function refuseOtherContent(manifest: ImageManifest): void {
  if (!configTypes.includes(manifest.config.mediaType)) {
    const type = printable(manifest.config.mediaType, 100);
    throw refused(`it is not a container image but an artifact of type ${type}`);
  }
  for (const layer of manifest.layers) {
    if (!layerTypes.includes(layer.mediaType)) {
      throw refused(`it has a layer of the unknown type ${printable(layer.mediaType, 100)}`);
    }
  }
}

/** JSON of somebody else, bounded and strict UTF-8. */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  if (bytes.length > DOCUMENT_BYTES_MAX) throw refused(`${what} is larger than 4 MiB`);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw refused(`${what} is not JSON`, error);
  }
}

/** Applies a schema; the first thing that is wrong is named. */
export function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue?.path.map(String).join(".") ?? "";
  throw refused(`the ${what} is malformed at ${printable(where, 100)}: ${issue?.message ?? ""}`);
}

/** Docker's own documents always name their types. */
function typeByFields(document: object): string | undefined {
  if ("mediaType" in document) return undefined;
  if ("manifests" in document) return indexTypes[0];
  return "config" in document && "layers" in document ? manifestTypes[0] : undefined;
}

function agreedType(own: unknown, announced: string | undefined): string {
  const known = [...indexTypes, ...manifestTypes];
  const outer = announced?.split(";")[0]?.trim().toLowerCase();
  if (own !== undefined && typeof own !== "string") throw refused("its mediaType is not a string");
  if (outer?.startsWith("application/vnd.docker.distribution.manifest.v1") === true) {
    throw refused("it is in Docker's schema 1, which was given up in 2017");
  }
  if (own !== undefined && outer !== undefined && known.includes(outer) && own !== outer) {
    throw refused(`it was announced as ${outer} and calls itself ${printable(own, 100)}`);
  }
  const type = own ?? outer;
  if (type !== undefined && known.includes(type)) return type;
  const named = type ? `the media type ${printable(type, 100)}` : "no media type";
  throw refused(`its manifest has ${named}`);
}

function refused(because: string, cause?: unknown): ImageError {
  return new ImageError({
    because,
    fix: "have it built and pushed again by a tool that writes OCI or Docker schema 2 images",
    kind: "stalled",
    ...(cause === undefined ? {} : { cause }),
  });
}
