import { constants, createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { ImageError } from "./image-error.ts";

const READ_BYTES = 1024 * 1024;

/** The bytes of a file. Opened without blocking on a FIFO and without becoming anybody's terminal. */
export async function* regularFile(path: string, abort: AbortSignal): AsyncGenerator<Buffer> {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  const handle = await open(path, flags).catch((cause: unknown) => {
    throw noSuchFile(cause) ?? cause;
  });
  try {
    await checkRegular(handle, path);
    yield* createReadStream(path, {
      fd: handle,
      autoClose: false,
      highWaterMark: READ_BYTES,
      signal: abort,
    });
  } finally {
    await handle.close();
  }
}

async function checkRegular(handle: FileHandle, path: string): Promise<void> {
  if ((await handle.stat()).isFile()) return;
  throw new ImageError({
    because: `${path} is not a regular file`,
    fix: "name an OCI layout directory, an oci-archive or a docker-archive",
    kind: "stalled",
  });
}

/** Undefined when it is another error than that of a missing file. */
export function noSuchFile(cause: unknown): ImageError | undefined {
  if (!(cause instanceof Error && "code" in cause && cause.code === "ENOENT")) return undefined;
  const because = "there is no such file or directory on the agent's host";
  return new ImageError({ because, fix: "check the path", kind: "stalled", cause });
}
