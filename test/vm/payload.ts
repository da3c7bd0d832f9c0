import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync } from "node:fs";

/** Fixed, because a frozen guest has seen the disk's size. */
const payloadBytes = 64 * 1024 * 1024;

/** Writes the checkout as it is now, with what was built, as a tar of the payload disk's size. */
export function writePayload(path: string): void {
  const listed = execFileSync("git", ["ls-files", "-z", "-co", "--exclude-standard"], {
    encoding: "utf8",
  });
  const built = execFileSync(
    "find",
    ["build/berth-helper", "build/payload", "build/program", "-type", "f", "-print0"],
    {
      encoding: "utf8",
    },
  );
  execFileSync(
    "tar",
    // A file that git knows may be gone from the tree.
    ["--null", "--ignore-failed-read", "--warning=no-failed-read", "-cf", path, "--files-from=-"],
    { input: listed + built, stdio: ["pipe", "ignore", "inherit"] },
  );
  resize(path);
}

/** A payload disk with nothing on it, for the boot before the freeze. */
export function writeBlankPayload(path: string): void {
  resize(path);
}

function resize(path: string): void {
  const file = openSync(path, "a");
  ftruncateSync(file, payloadBytes);
  closeSync(file);
}
