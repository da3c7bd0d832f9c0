import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { claimRoot } from "../../agent/store/root-owner.ts";

test("a data directory is used by the instance that used it first, and by no other", (t) => {
  const root = mkdtempSync(join(tmpdir(), "bt-owner-"));
  try {
    claimRoot(join(root, "lib"), "one");
    claimRoot(join(root, "lib"), "one");
    t.throws(() => claimRoot(join(root, "lib"), "two"), {
      message: /as instance two because it belongs to instance one: say --instance one/,
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
