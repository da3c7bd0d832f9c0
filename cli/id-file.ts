import { open, rm } from "node:fs/promises";
import { CliError } from "./cli-error.ts";

/**
 * Calls `work` with what writes a container's id to the file of `--cidfile`, which must not be there; without a path the id
 * goes nowhere. A file that got no id is removed.
 */
export async function withIdFile<Result>(
  path: string | undefined,
  work: (writeId: (id: string) => Promise<void>) => Promise<Result>,
): Promise<Result> {
  if (path === undefined) return work(async () => undefined);
  const file = await open(path, "wx", 0o644).catch((error: NodeJS.ErrnoException) => {
    const why =
      error.code === "EEXIST"
        ? "it is there: remove it, or name another"
        : `of ${error.code}: a new file in a directory that you may write to is expected`;
    throw new CliError(1, `cannot write the container's id to ${path} because ${why}`);
  });
  let isWritten = false;
  try {
    return await work(async (id) => {
      isWritten = true;
      await file.writeFile(id);
    });
  } finally {
    await file.close();
    if (!isWritten) await rm(path, { force: true });
  }
}
