import { posix } from "node:path";
import type { FileReader } from "../desired-state.ts";
import { quoteValue } from "../diagnostics.ts";
import type { Budget } from "./budget.ts";

export type AppFiles = {
  /** Directory of the app in the repository, `.` for its root. */
  readonly directory: string;
  readonly reader: FileReader;
  readonly budget: Budget;
};

export type FileFound =
  | { readonly kind: "found"; readonly path: string; readonly bytes: Uint8Array }
  | { readonly kind: "absent"; readonly path: string }
  | { readonly kind: "refused"; readonly message: string; readonly unsupported?: true };

/**
 * Reads a file that a manifest names relative to its directory. Only files of the repository are read.
 * Rejects only when the reader fails.
 */
export async function readAppFile(
  { directory, reader, budget }: AppFiles,
  name: string,
  bytesMax: number,
): Promise<FileFound> {
  const path = repositoryPath(directory, name);
  if (path === undefined) {
    const message = `the file ${quoteValue(name)} is not one of the repository: name one below its root`;
    return { kind: "refused", message, unsupported: true };
  }
  try {
    const bytes = await reader.read(path, bytesMax);
    if (bytes === undefined) return { kind: "absent", path };
    budget.bytesLeft -= bytes.length;
    if (budget.bytesLeft >= 0) return { kind: "found", path, bytes };
    return { kind: "refused", message: "the files of the revision are too large together" };
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "EFBIG") throw error;
    const message = `the file ${quoteValue(name)} is too large: at most ${bytesMax} bytes are allowed`;
    return { kind: "refused", message };
  }
}

/** `../shared/web.env` seen from `apps/web` is `apps/shared/web.env`; undefined outside of the repository. */
export function repositoryPath(directory: string, name: string): string | undefined {
  if (name === "" || name.startsWith("/") || name.startsWith("~")) return undefined;
  const path = posix.join(directory, name);
  return path === ".." || path.startsWith("../") ? undefined : path;
}
