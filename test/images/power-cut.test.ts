import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { kernelTest } from "../kernel/kernel-test.ts";
import { hasTool } from "../kernel/with-tool.ts";

const host = fileURLToPath(new URL("power-cut-host.ts", import.meta.url));

type Cut = {
  readonly step: string;
  readonly isUnsyncedThere: boolean;
  readonly isThere: boolean;
};

kernelTest(
  "a power cut at any change of a collection leaves a store that works and hides nothing",
  async (t) => {
    if (!hasTool(t, "python3") || !hasTool(t, "mkfs.ext4")) return;
    t.timeout(600_000);
    const place = mkdtempSync(join(tmpdir(), "bt-images-power-"));
    try {
      const inside = [process.execPath, host, place];
      const { stdout } = await promisify(execFile)("unshare", [
        "--mount",
        "--propagation",
        "private",
        ...inside,
      ]);
      const cuts: readonly Cut[] = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      t.log(cuts.map(({ step }) => step.slice(0, 20)).join(", "));
      for (const { step, isUnsyncedThere, isThere, ...found } of cuts) {
        t.false(isUnsyncedThere, "a cut takes away what was not synced");
        const content = { blobs: isThere ? 8 : 4, layers: isThere ? 4 : 2, incoming: [] };
        t.deepEqual(found as object, { ...content, own: "kept", more: "removed too" }, step);
      }
      t.true(cuts.length >= 12);
      t.is(cuts.at(-1)?.step, "done");
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  },
);
