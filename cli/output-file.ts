/** Bytes to a file that has its name once it is whole, or to standard output. */
import { open, rename, rm } from "node:fs/promises";
import { CliError } from "./cli-error.ts";
import { formatBytes } from "./figures.ts";
import { createProgressLine } from "./progress-line.ts";
import { whenDrained } from "./terminal.ts";

/** `path` undefined: standard output, which must not be a terminal. Resolves with the number of bytes. */
export async function writeOutput(
  source: AsyncIterable<Uint8Array>,
  path: string | undefined,
): Promise<number> {
  if (path !== undefined) return writeFile(source, path);
  if (process.stdout.isTTY) {
    throw new CliError(2, "cannot write an archive to a terminal: name a file with --output");
  }
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    process.stdout.write(chunk);
    await whenDrained(process.stdout);
  }
  return bytes;
}

async function writeFile(source: AsyncIterable<Uint8Array>, path: string): Promise<number> {
  const partial = `${path}.partial-${process.pid}`;
  const progress = createProgressLine();
  let bytes = 0;
  let told = 0;
  try {
    const file = await open(partial, "wx", 0o666);
    try {
      for await (const chunk of source) {
        await file.writeFile(chunk);
        bytes += chunk.length;
        if (bytes - told < 1_048_576) continue;
        told = bytes;
        progress.show(`written ${formatBytes(bytes)}`);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
    return bytes;
  } finally {
    progress.clear();
    await rm(partial, { force: true });
  }
}
