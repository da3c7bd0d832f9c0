import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import type { ExecutionContext } from "ava";
import { LAYER_ID_BASE } from "../../runtime/images/layer-ids.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { hasTool } from "../kernel/with-tool.ts";
import { architecture, describe, json, ociIndex, ociManifest } from "./image-builder.ts";
import { soon, withStore } from "./store-harness.ts";

const run = promisify(execFile);
const listTree = fileURLToPath(new URL("../native/unpack/list-tree.c", import.meta.url));
const layersScript = fileURLToPath(new URL("umoci-layers.sh", import.meta.url));

/** An image layout with the tar archives of a directory as its layers, in the order of their names. */
async function writeImage(root: string): Promise<string> {
  const path = join(root, "layout");
  const blobs = join(path, "blobs", "sha256");
  mkdirSync(blobs, { recursive: true });
  const put = (mediaType: string, bytes: Buffer) => {
    const described = describe(mediaType, bytes);
    writeFileSync(join(blobs, described.digest.slice(7)), bytes);
    return described;
  };
  const tars = ["1", "2", "3"].map((name) => readFileSync(join(root, "layers", `${name}.tar`)));
  const layers = tars.map((tar) =>
    put("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar, { level: 1 })),
  );
  const diffIds = tars.map((tar) => `sha256:${createHash("sha256").update(tar).digest("hex")}`);
  const config = put(
    "application/vnd.oci.image.config.v1+json",
    json({
      architecture,
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: diffIds },
    }),
  );
  const manifest = put(
    ociManifest,
    json({ schemaVersion: 2, mediaType: ociManifest, config, layers }),
  );
  const annotations = { "org.opencontainers.image.ref.name": "made" };
  const manifests = [{ ...manifest, annotations }];
  writeFileSync(join(path, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(
    join(path, "index.json"),
    json({ schemaVersion: 2, mediaType: ociIndex, manifests }),
  );
  return path;
}

/** Every path of the layers put together as a container sees them, with all that two unpackings must agree on. */
async function ourTree(root: string, layerDirs: readonly string[]): Promise<readonly string[]> {
  const merged = join(root, "merged");
  mkdirSync(merged);
  const script = `mount -t overlay -o "ro,lowerdir=$1" overlay "$2" && exec "$3" "$2" "$4"`;
  const lower = layerDirs.toReversed().join(":");
  const words = [lower, merged, join(root, "list-tree"), `${LAYER_ID_BASE}`];
  const inside = ["--mount", "--propagation", "private", "sh", "-c", script, "sh", ...words];
  return lines((await run("unshare", inside, { maxBuffer: 1 << 26 })).stdout);
}

function lines(text: string): readonly string[] {
  return text
    .trimEnd()
    .split("\n")
    .filter((line) => !line.startsWith(". "));
}

async function compare(t: ExecutionContext, script: string): Promise<void> {
  if (!hasTool(t, "umoci")) return;
  await withStore(async ({ root, store }) => {
    await run("cc", ["-D_GNU_SOURCE", "-O1", "-o", join(root, "list-tree"), listTree]);
    await run("bash", [script, join(root, "layers")]);
    const layout = await writeImage(root);
    const [image] = await store.load(layout, { abort: soon() });
    const bundle = join(root, "bundle");
    await run("umoci", ["unpack", "--image", `${layout}:made`, bundle]);
    const rootfs = join(bundle, "rootfs");
    const { stdout } = await run(join(root, "list-tree"), [rootfs], { maxBuffer: 1 << 26 });
    const ours = await ourTree(root, image?.layerDirs ?? []);
    t.true(ours.length > 30);
    for (const name of ["user.binary", "system.posix_acl_access", "system.posix_acl_default"]) {
      t.true(
        ours.some((line) => line.includes(name)),
        name,
      );
    }
    t.deepEqual(ours, lines(stdout));
  });
}

kernelTest("three layers come out as umoci unpacks them, file by file", (t) =>
  compare(t, layersScript),
);
