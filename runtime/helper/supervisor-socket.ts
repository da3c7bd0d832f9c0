import { createConnection, type Socket } from "node:net";
import { WireReader } from "./wire.ts";

/** What a supervisor knows of an end: whether the kernel was the one to kill is for the cgroup to say. */
export type ProcessExit = {
  readonly code?: number;
  readonly signal?: number;
  readonly finishedAtMs: number;
};

/** Where a supervisor listens, and which version of the protocol it speaks; absent: this program's own. */
export type SupervisorAddress = { readonly socketPath: string; readonly protocol?: number };

/** Decodes the body of an EXITED message. */
export function readExited(body: Buffer): ProcessExit {
  const reader = new WireReader(body);
  const known = reader.u32() === 1;
  const code = reader.u32();
  const signal = reader.u32();
  const finishedAtMs = Number(reader.u64());
  if (!known) return { finishedAtMs };
  return signal === 0 ? { code, finishedAtMs } : { signal, finishedAtMs };
}

/** Rejects with ENOENT or ECONNREFUSED when nobody listens there. */
export function connected(socketPath: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path: socketPath });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}
