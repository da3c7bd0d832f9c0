import { execFile } from "node:child_process";
import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);
const diskBytes = 48 * 1024 ** 3;
const inodes = 4_000_000;

export type OwnDisk = { readonly dir: string; remove(): Promise<void> };

/**
 * A new ext4 file system with a journal in a sparse file, so that nothing that others did to the machine's own is
 * measured. Needs a mount namespace of its own.
 */
export async function makeOwnDisk(dir: string): Promise<OwnDisk> {
  const image = `${dir}.img`;
  mkdirSync(dir);
  writeFileSync(image, "");
  truncateSync(image, diskBytes);
  const whole = "lazy_itable_init=0,lazy_journal_init=0";
  await run("mkfs.ext4", ["-q", "-F", "-E", whole, "-N", `${inodes}`, image]);
  const { stdout } = await run("losetup", ["--find", "--show", "--direct-io=on", image]);
  const device = stdout.trim();
  try {
    await run("mount", [device, dir]);
  } finally {
    // It goes when the mount does.
    await run("losetup", ["--detach", device]);
  }
  return {
    dir,
    async remove() {
      await run("umount", ["--recursive", dir]);
      rmSync(image);
      rmSync(dir, { recursive: true });
    },
  };
}
