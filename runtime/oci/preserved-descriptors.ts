import { readlinkSync } from "node:fs";

/**
 * How many of the `wanted` descriptors from 3 on the caller has left open for the container. Node opens its own after
 * those, the first being an epoll instance.
 */
export function countPreserved(wanted: number): number {
  for (let count = 0; count < wanted; count += 1) {
    try {
      if (readlinkSync(`/proc/self/fd/${3 + count}`).startsWith("anon_inode:")) return count;
    } catch {
      return count;
    }
  }
  return wanted;
}

/** Sockets that a service manager has passed: how many, and what the process is told of them (sd_listen_fds(3)). */
export function listenEnvironment(): {
  readonly count: number;
  readonly entries: readonly string[];
} {
  const count = Number(process.env.LISTEN_FDS ?? "0");
  if (!Number.isInteger(count) || count <= 0 || count > 100) return { count: 0, entries: [] };
  return { count, entries: [`LISTEN_FDS=${count}`, "LISTEN_PID=1"] };
}
