import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore } from "./blob-store.ts";
import { type Digest, digestHex } from "./digest.ts";
import { withHelper } from "./helped-archive.ts";
import { ImageError, isHostFailure, printable } from "./image-error.ts";
import { ARCHIVE_ENTRIES_MAX, DOCUMENT_BYTES_MAX, LAYER_BYTES_MAX } from "./image-limits.ts";
import { tooLarge } from "./read-body.ts";
import { regularFile } from "./regular-file.ts";
import type { TakenEntry, Unpacker } from "./unpacker.ts";

/** What an archive holds besides the blobs, which are in the store once this exists. */
export type ArchiveContents = {
  readonly documents: ReadonlyMap<string, Buffer>;
  readonly files: ReadonlyMap<string, { readonly digest: Digest; readonly size: number }>;
  /** Other names of files. */
  readonly aliases: ReadonlyMap<string, string>;
};

type TakeParts = { readonly blobs: BlobStore; readonly unpacker: Unpacker };

export type TakeArchiveOrder = {
  readonly path: string;
  readonly pin: (digest: Digest) => void;
  readonly abort: AbortSignal;
};

const PATH_LENGTH_MAX = 1024;
const documentPaths: readonly string[] = ["index.json", "oci-layout", "manifest.json"];
/** Files of old `docker save` that repeat what manifest.json says. */
const ignoredPaths = /(^|\/)(VERSION|repositories|json)$/;

/**
 * Reads the tar archive around an image once (plain, gzip or zstd): each file goes to the blob store under the digest that
 * it turns out to have. Until all of it was read and judged nothing has a name there.
 */
export async function takeArchive(
  { blobs, unpacker }: TakeParts,
  order: TakeArchiveOrder,
): Promise<ArchiveContents> {
  const destination = blobs.incomingPath();
  await mkdir(destination, { mode: 0o700 });
  try {
    const entries = await takeFiles(unpacker, order, destination);
    const aliases = new Map<string, string>();
    const files = new Map<string, Extract<TakenEntry, { kind: "file" }>>();
    for (const entry of entries) {
      const path = normalPath(entry.path);
      if (entry.kind === "file") files.set(path, entry);
      else aliases.set(path, targetOf(path, entry));
    }
    const documents = await takeDocuments(files, destination);
    for (const [path, { digest }] of files) checkBlobName(path, digest);
    for (const { digest } of files.values()) order.pin(digest);
    await blobs.placeAll(placements(files, destination));
    return { documents, files, aliases };
  } finally {
    await unpacker.removeTree(destination);
  }
}

async function takeFiles(
  unpacker: Unpacker,
  { path, abort }: TakeArchiveOrder,
  destination: string,
): Promise<readonly TakenEntry[]> {
  const limits = { bytesMax: 4 * LAYER_BYTES_MAX, entriesMax: ARCHIVE_ENTRIES_MAX };
  try {
    return await withHelper(
      (signal) => regularFile(path, signal),
      abort,
      ({ how, stream }) => unpacker.takeFiles({ destination, ...limits, ...how }, stream),
    );
  } catch (error) {
    abort.throwIfAborted();
    throw notReadable(error);
  }
}

/** Documents and what repeats them are no blobs: they leave `files`. */
async function takeDocuments(
  files: Map<string, { readonly name: string; readonly size: number }>,
  directory: string,
): Promise<ReadonlyMap<string, Buffer>> {
  const documents = new Map<string, Buffer>();
  for (const [path, { name, size }] of files) {
    const isDocument = documentPaths.includes(path);
    if (isDocument && size > DOCUMENT_BYTES_MAX) throw tooLarge(path, DOCUMENT_BYTES_MAX);
    if (isDocument) documents.set(path, await readFile(join(directory, name)));
    if (isDocument || ignoredPaths.test(path)) files.delete(path);
  }
  return documents;
}

/** The same content may be there under several names. */
function placements(
  files: ReadonlyMap<string, { readonly name: string; readonly digest: Digest }>,
  directory: string,
): readonly (readonly [string, Digest])[] {
  return [...files.values()].map(({ name, digest }) => [join(directory, name), digest]);
}

function targetOf(path: string, entry: Exclude<TakenEntry, { kind: "file" }>): string {
  if (entry.kind === "hardLink") return normalPath(entry.target);
  const directory = path.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : "";
  return normalPath(directory + entry.target);
}

/** Relative, without `.` and `..`; only compared with other paths, never opened. */
function normalPath(path: string): string {
  const parts: string[] = [];
  if (path.startsWith("/") || path.length > PATH_LENGTH_MAX) {
    throw malformed(`the path ${printable(path, 100)} is not allowed`);
  }
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) {
      throw malformed(`the path ${printable(path, 100)} leaves the archive`);
    }
  }
  return parts.join("/");
}

function checkBlobName(path: string, actual: Digest): void {
  const named = /^blobs\/sha256\/(.+)$/.exec(path)?.[1];
  if (named === undefined || named === digestHex(actual)) return;
  throw new ImageError({
    because: `${printable(path, 100)} has the digest ${actual}`,
    fix: "the archive was changed or damaged: export the image again",
    kind: "stalled",
  });
}

function notReadable(cause: unknown): unknown {
  if (cause instanceof ImageError) return cause;
  // Says nothing about the archive.
  if (isHostFailure(cause)) return cause;
  return malformed(cause instanceof Error ? printable(cause.message) : String(cause), cause);
}

function malformed(why: string, cause?: unknown): ImageError {
  return new ImageError({
    because: `the archive is not one that berth reads (${why})`,
    fix: "write it again with docker save, podman save or skopeo copy",
    kind: "stalled",
    cause,
  });
}
