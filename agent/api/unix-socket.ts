/** Listening on a path socket that only this user can reach. */
import { chmod, mkdir, rename, stat, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";

// sun_path of unix(7), without its NUL.
const PATH_BYTES_MAX = 107;

/**
 * Listens on `socketPath` with mode 0600 below a directory of mode 0700. A socket left by a dead agent is
 * replaced; one that somebody answers on is an error. Returns what removes it again.
 */
export async function listenOnSocket(
  server: Server,
  socketPath: string,
): Promise<() => Promise<void>> {
  const ownPath = `${socketPath}.${process.pid}`;
  if (Buffer.byteLength(ownPath) > PATH_BYTES_MAX) {
    throw new Error(
      `cannot listen on ${socketPath} because a socket's path has at most ${PATH_BYTES_MAX} bytes: ` +
        "a shorter --root is expected",
    );
  }
  const directory = dirname(socketPath);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  if (await somebodyAnswers(socketPath)) {
    throw new Error(
      `cannot listen on ${socketPath} because another agent answers there: ` +
        "stop it, or choose another --root and --instance",
    );
  }
  // Bound under its own name and renamed when its mode is right, so that nobody finds it with another mode.
  await removeIfThere(ownPath);
  await listen(server, ownPath);
  await chmod(ownPath, 0o600);
  const { ino } = await stat(ownPath);
  await rename(ownPath, socketPath);
  return async () => {
    const now = await stat(socketPath).catch(() => undefined);
    if (now?.ino === ino) await removeIfThere(socketPath);
  };
}

function somebodyAnswers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      probe.destroy();
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(false);
      else reject(new Error(`cannot listen on ${path} because ${error.message}`, { cause: error }));
    });
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function removeIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}
