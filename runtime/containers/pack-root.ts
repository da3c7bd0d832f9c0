import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { constants, mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Launcher } from "../helper/launcher.ts";
import { LAYER_BYTES_MAX, LAYER_ENTRIES_MAX } from "../images/image-limits.ts";
import { LAYER_ID_BASE } from "../images/layer-ids.ts";
import type { FsParameter } from "../program/host-operations.ts";
import { mountAttribute } from "../program/kernel-flags.ts";
import { Program } from "../program/program.ts";

/** The layers and the writable directory of one container. */
export type PackedRoot = {
  /** Lowest first. */
  readonly layerDirs: readonly string[];
  readonly upper: string;
};

/**
 * A container's root as a tar archive, read by a child of the launcher from the layers themselves: what is mounted in
 * the container is no part of it, and owners are those that the container sees. `changesOnly`: what its own layer
 * changes, as an image layer. The stream ends with an error when the tree could not be read to its end.
 */
export async function* packRoot(
  parts: { readonly launcher: Launcher; readonly runDir: string },
  root: PackedRoot,
  options: { readonly changesOnly: boolean; readonly abort: AbortSignal },
): AsyncGenerator<Buffer> {
  const directory = join(parts.runDir, "unpack");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const socketPath = join(directory, `${randomBytes(8).toString("hex")}.sock`);
  const server = createServer();
  server.maxConnections = 1;
  try {
    await listening(server, socketPath);
    const order = {
      changesOnly: options.changesOnly,
      idBase: LAYER_ID_BASE,
      bytesMax: LAYER_BYTES_MAX,
      entriesMax: LAYER_ENTRIES_MAX,
      socketPath,
    };
    const connected = firstConnection(server);
    const packed = parts.launcher.run(packProgram(root, order));
    yield* received(connected, packed, options.abort);
  } finally {
    server.close();
    await rm(socketPath, { force: true });
  }
}

async function* received(
  connected: Promise<Socket>,
  packed: Promise<Buffer>,
  abort: AbortSignal,
): AsyncGenerator<Buffer> {
  // Awaited at the end of each way out; this keeps an early failure from counting as unhandled.
  packed.catch(() => {});
  // What fails before it connects says so.
  const socket = await Promise.race([connected, packed.then(() => connected)]);
  const stop = (): void => void socket.destroy();
  abort.addEventListener("abort", stop, { once: true });
  try {
    abort.throwIfAborted();
    for await (const chunk of socket) yield chunk;
    abort.throwIfAborted();
    await packed;
  } finally {
    abort.removeEventListener("abort", stop);
    socket.destroy();
    await packed.catch(() => {});
  }
}

function packProgram(root: PackedRoot, order: Parameters<Program["pack"]>[1]): Uint8Array {
  const program = new Program();
  const tree = program.slot();
  if (order.changesOnly || root.layerDirs.length === 0) {
    program.open(tree, null, openReadDirectory, root.upper);
  } else {
    const directories = [...root.layerDirs, root.upper].toReversed();
    const parameters = directories.map((path): FsParameter => {
      const slot = program.slot();
      program.openTree(slot, path);
      return { kind: "fd", key: "lowerdir+", slot };
    });
    program.fsopen(tree, "overlay", mountAttribute.readOnly, parameters);
  }
  return program.pack(tree, order).finish();
}

async function listening(server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, "listening");
}

function firstConnection(server: Server): Promise<Socket> {
  return new Promise((resolve) => {
    server.once("connection", resolve);
  });
}

const openReadDirectory = constants.O_RDONLY | constants.O_DIRECTORY;
