import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { kernelTest } from "../kernel/kernel-test.ts";

const child = fileURLToPath(new URL("full-disk-child.ts", import.meta.url));

/** The small disk is a tmpfs in a mount namespace of the child's own: it ends with the child. */
kernelTest(
  "a full disk fails pull, load and import with its name, and what was begun is undone",
  async (t) => {
    const root = mkdtempSync(join(tmpdir(), "bt-images-full-"));
    try {
      const script = 'mount -t tmpfs -o size=24m,mode=0700 none "$1" && exec "$2" "$3" "$1"';
      const inside = ["sh", "-c", script, "sh", root, process.execPath, child];
      const { stdout } = await promisify(execFile)(
        "unshare",
        ["--mount", "--propagation", "private", ...inside],
        { timeout: 60_000 },
      );
      const { error, left, later, local, isUnchanged } = JSON.parse(stdout);
      t.regex(error, /^cannot pull .* because the disk of .*images is full \(ENOSPC\): free space/);
      t.notRegex(error, /pushed again/, "the image is not to blame");
      t.deepEqual(left, { blobs: [], layers: [], incoming: [] });
      t.is(later, "pulled");
      t.is(local.length, 2);
      for (const each of local) {
        t.regex(each, /^cannot (load|import) .* because the disk of .*images is full \(ENOSPC\)/);
      }
      t.true(isUnchanged);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  },
);
