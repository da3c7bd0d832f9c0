import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { CgroupHost } from "../../runtime/cgroups/cgroup-host.ts";
import { limitWrites } from "../../runtime/cgroups/cgroup-limits.ts";

const roots: string[] = [];
test.after.always(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

/** A host whose instance has these files in its cgroup. */
function host(version: "v1" | "v2", files: readonly string[]): CgroupHost {
  const root = mkdtempSync(join(tmpdir(), "berth-block-limits-"));
  roots.push(root);
  mkdirSync(join(root, "berth"));
  for (const file of files) writeFileSync(join(root, "berth", file), "");
  return version === "v1"
    ? { v1: new Map([["blkio", root]]), unified: undefined, unifiedControllers: new Set() }
    : { v1: new Map(), unified: root, unifiedControllers: new Set(["io"]) };
}

function written(of: CgroupHost, weight: number): readonly string[] {
  return limitWrites(of, "/berth/web", { blockIo: { weight } }).map(
    ({ path, value }) => `${path.slice(path.lastIndexOf("/") + 1)} ${value}`,
  );
}

test("a weight is written to the file that the kernel has, in the measure of that file", (t) => {
  t.deepEqual(written(host("v1", ["blkio.bfq.weight", "blkio.weight"]), 300), [
    "blkio.bfq.weight 300",
  ]);
  t.deepEqual(written(host("v1", ["blkio.weight"]), 300), ["blkio.weight 300"]);
  t.deepEqual(written(host("v2", ["io.bfq.weight", "io.weight"]), 300), ["io.bfq.weight 300"]);
  t.deepEqual(written(host("v2", ["io.weight"]), 10), ["io.weight default 1"]);
  t.deepEqual(written(host("v2", ["io.weight"]), 100), ["io.weight default 910"]);
  t.deepEqual(written(host("v2", ["io.weight"]), 1000), ["io.weight default 10000"]);
});

test("where no kernel file takes a weight, the error names the field and what helps", (t) => {
  for (const version of ["v1", "v2"] as const) {
    t.throws(() => written(host(version, []), 300), {
      message: /blkio_config\.weight.*load the module bfq, or remove/,
    });
  }
});
