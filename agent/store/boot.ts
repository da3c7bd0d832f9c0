import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * True when the machine was booted since the run directory was last used. Kernel objects are gone then, so the
 * inventory of them (`live.db`), which may lie on a disk when `--root` says so, is removed as well.
 */
export function forgetInventoryOfEarlierBoot(
  runDir: string,
  bootId: string = readBootId(),
): boolean {
  const path = join(runDir, "boot-id");
  const earlier = readIfPresent(path);
  if (earlier === bootId) return false;
  for (const suffix of ["", "-wal", "-shm", "-journal"]) {
    rmSync(join(runDir, `live.db${suffix}`), { force: true });
  }
  writeFileSync(path, `${bootId}\n`, { mode: 0o600 });
  return true;
}

function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
