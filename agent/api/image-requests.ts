/** What the routes about images accept. Unknown fields are refused. */
import { z } from "zod";

const Reference = z.string().min(1).max(1024);
const Path = z.string().min(1).max(4096).startsWith("/", "an absolute path is expected");

export const Nothing = z.strictObject({});
/** By reference, digest or a prefix of that. */
export const ImageQuery = z.strictObject({ name: Reference });
export const PullBody = z.strictObject({ reference: Reference });
export const LoadBody = z.strictObject({ path: Path, reference: Reference.optional() });
export const TagBody = z.strictObject({ name: Reference, reference: Reference });
export const PruneBody = z.strictObject({
  all: z.boolean().default(false),
  olderThanMs: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  dryRun: z.boolean().default(false),
});
const Names = z.array(Reference).min(1).max(256);
export const SaveBody = z.strictObject({
  names: Names,
  format: z.enum(["oci-archive", "docker-archive"]),
});
export const SaveLayoutBody = z.strictObject({ names: Names, path: Path });
const Text = z.string().max(4096);
const made = {
  reference: Reference.optional(),
  changes: z.array(Text).max(256).default([]),
  message: Text.optional(),
};
export const ImportBody = z.strictObject({ path: Path, ...made });
export const CommitBody = z.strictObject({
  name: Reference,
  pause: z.boolean().default(true),
  author: Text.optional(),
  ...made,
});
export const ExportBody = z.strictObject({ name: Reference, pause: z.boolean().default(false) });
