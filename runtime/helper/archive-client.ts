import { createConnection } from "node:net";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Digest, parseDigest } from "../images/digest.ts";
import type { TakenEntry, UnpackOutcome } from "../images/unpacker.ts";
import { message, taken } from "../protocol.ts";
import { readHelperError } from "./helper-error.ts";
import { type Message, receiveMessages } from "./message-stream.ts";
import { WireReader } from "./wire.ts";

/** Its process was killed before it answered: that says nothing about the archive. */
class HelperEndedError extends Error {
  override readonly name = "HelperEndedError";
  readonly code = "ECHILD";

  constructor(cause?: unknown) {
    super("the helper's process ended before it had read the archive", { cause });
  }
}

/**
 * Sends an archive to the child that listens there, and resolves with the body of its last answer. `onFile` gets the bodies
 * of those before it. Rejects with the helper's own error, with the archive's, or with the abort's reason.
 */
export async function sendArchive(
  socketPath: string,
  order: {
    readonly tar: Readable;
    readonly abort: AbortSignal;
    readonly onFile?: (body: Buffer) => void;
  },
): Promise<Buffer> {
  const socket = createConnection({ path: socketPath, allowHalfOpen: true });
  const answer = new Promise<Message>((resolve, reject) => {
    receiveMessages(socket, (received) => {
      if (received.type === message.fileTaken) order.onFile?.(received.body);
      else resolve(received);
    });
    socket.once("error", (error) => reject(endedOr(error)));
    socket.once("end", () => reject(new HelperEndedError()));
  });
  // The helper's own error says more than the EPIPE that follows it.
  const sent = pipeline(order.tar, socket, { signal: order.abort, end: true });
  try {
    const [result] = await Promise.all([
      answer,
      sent.catch(async (error) => failWith(answer, error)),
    ]);
    if (result.type === message.error) throw readHelperError(result.body);
    return result.body;
  } finally {
    socket.destroy();
  }
}

/** The body of UNPACKED. */
export function readUnpacked(body: Buffer): UnpackOutcome {
  const reader = new WireReader(body);
  const contentBytes = Number(reader.u64());
  const entries = reader.u32();
  const tarBytes = Number(reader.u64());
  const archiveDigest = digestOfSha256(reader.bytes());
  const sentBytes = Number(reader.u64());
  const sentDigest = digestOfSha256(reader.bytes());
  return {
    contentBytes,
    entries,
    tarBytes,
    archiveDigest,
    sentBytes,
    sentDigest,
    impliedDirectories: reader.list(() => reader.string()),
  };
}

/** The body of FILE_TAKEN. */
export function readTaken(body: Buffer): TakenEntry {
  const reader = new WireReader(body);
  const kind = reader.u32();
  const path = reader.string();
  const target = reader.string();
  if (kind !== taken.file) {
    return { kind: kind === taken.symlink ? "symlink" : "hardLink", path, target };
  }
  const name = `${reader.u32()}`;
  const size = Number(reader.u64());
  return { kind: "file", path, name, size, digest: digestOfSha256(reader.bytes()) };
}

async function failWith(answer: Promise<Message>, error: unknown): Promise<void> {
  const told = await Promise.race([
    answer.catch(() => undefined),
    new Promise<undefined>((resolve) => {
      setTimeout(resolve, 1000, undefined).unref();
    }),
  ]);
  if (told?.type === message.error) return;
  throw endedOr(error);
}

function endedOr(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === "EPIPE" || code === "ECONNRESET" ? new HelperEndedError(error) : error;
}

function digestOfSha256(bytes: Buffer): Digest {
  return parseDigest(`sha256:${bytes.toString("hex")}`);
}
