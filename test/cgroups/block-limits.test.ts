import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { weightWrites } from "../../runtime/cgroups/block-weights.ts";
import type { CgroupHost } from "../../runtime/cgroups/cgroup-host.ts";
import { limitWrites } from "../../runtime/cgroups/cgroup-limits.ts";
import { limitDrift, limitFiles } from "../../runtime/cgroups/limit-drift.ts";

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

test("weights of single devices are in the measure of their file, too", (t) => {
  const devices = [{ number: "8:0", weight: 100 }];
  const fields = { all: "all", devices: "devices" };
  const of = (version: "v1" | "v2", files: readonly string[]) => {
    const { v1, unified } = host(version, files);
    const root = v1.get("blkio") ?? unified ?? "";
    return weightWrites(join(root, "berth"), version, { all: undefined, devices }, fields);
  };
  t.deepEqual(of("v1", ["blkio.bfq.weight"]), [
    { file: "blkio.bfq.weight_device", value: "8:0 100" },
  ]);
  t.deepEqual(of("v2", ["io.bfq.weight"]), [{ file: "io.bfq.weight", value: "8:0 100" }]);
  t.deepEqual(of("v2", ["io.weight"]), [{ file: "io.weight", value: "8:0 910" }]);
  t.throws(() => of("v2", []), { message: /by devices because .*io\.weight/ });
});

test("a device that is pulled out, or a scheduler that is unloaded, ends no look for drift", (t) => {
  const of = host("v2", []);
  const rate = [{ path: "/dev/there-is-none", rate: 1 }];
  const spec = {
    id: "1",
    name: "web",
    resources: { blockIo: { weight: 300, readBytes: rate } },
  };
  t.deepEqual(limitDrift(of, "/berth/web", spec), []);
  t.deepEqual(limitFiles(of, "/berth/web", spec), []);
});
