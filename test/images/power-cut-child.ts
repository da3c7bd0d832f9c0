/**
 * Pulls two images from the registry into a store on the disk that is mounted there, collects one of them, and cuts the power
 * before a change of that collection: MOUNTPOINT REGISTRY CHANGE. Ends by itself when there are not so many.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { kept, tags } from "./power-cut-images.ts";
import { soon, withStore } from "./store-harness.ts";

const [mountpoint, host, change] = process.argv.slice(2);
if (mountpoint === undefined || host === undefined) throw new Error("MOUNTPOINT REGISTRY CHANGE");
const cutAt = Number(change);

await withStore(
  async ({ state, store: first, reopen }) => {
    // As the agent has its database.
    state.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    for (const tag of tags) await first.pull(`${host}/app:${tag}`, { abort: soon() });
    let seen = 0;
    const store = await reopen((step) => {
      // Opening is a collection too, of nothing: it ends at once.
      if (step !== "done" || seen > 0) seen += 1;
      if (seen === cutAt) cutPower(step);
    });
    await store.collectGarbage(() => new Set([kept.digest]));
  },
  join(mountpoint, "store"),
);

/**
 * What a file system that is shut down so has in memory, and not in its journal, is gone: FS_IOC_SHUTDOWN with
 * FS_SHUTDOWN_FLAGS_NOLOGFLUSH, as xfstests cut the power.
 */
function cutPower(step: string): void {
  writeFileSync(join(mountpoint ?? "", "not-synced"), "lost");
  process.stdout.write(step);
  const script =
    "import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";
  execFileSync("python3", ["-c", script, mountpoint ?? ""]);
  process.kill(process.pid, "SIGKILL");
}
