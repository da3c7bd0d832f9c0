/** A file that the agent reads: one that the user names, or what comes on standard input. */
import { open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { CliError } from "./cli-error.ts";
import { formatBytes } from "./figures.ts";
import { createProgressLine } from "./progress-line.ts";

/**
 * Resolves with what `use` makes of the path; `-` stands for standard input, which must not be a terminal. That is kept
 * in the directory for temporary files meanwhile, without a name: nothing of it stays, however the command ends.
 */
export async function withInputFile<Result>(
  named: string,
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  if (named !== "-") return use(resolve(named));
  if (process.stdin.isTTY) {
    throw new CliError(2, "cannot read an archive from a terminal: name a file, or pipe one in");
  }
  const path = join(tmpdir(), `berth-input-${process.pid}`);
  const file = await open(path, "wx+", 0o600);
  try {
    await rm(path);
    const progress = createProgressLine();
    let bytes = 0;
    try {
      for await (const chunk of process.stdin) {
        await file.writeFile(chunk);
        bytes += chunk.length;
        progress.show(`read ${formatBytes(bytes)}`);
      }
    } catch (cause) {
      const message = `cannot keep standard input in ${tmpdir()}: TMPDIR names another directory`;
      throw new CliError(1, message, { cause });
    } finally {
      progress.clear();
    }
    return await use(`/proc/${process.pid}/fd/${file.fd}`);
  } finally {
    await file.close();
  }
}
