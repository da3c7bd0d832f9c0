import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { LAYER_ID_BASE } from "../../runtime/images/layer-ids.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { hasTool } from "../kernel/with-tool.ts";
import { architecture, describe, json, ociIndex, ociManifest } from "./image-builder.ts";
import { withStore } from "./store-harness.ts";

const run = promisify(execFile);
const listTree = fileURLToPath(new URL("../native/unpack/list-tree.c", import.meta.url));
const debianScript = fileURLToPath(new URL("debian-layout.sh", import.meta.url));
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
  return lines((await run("unshare", inside, { maxBuffer: 1 << 28 })).stdout);
}

/** On the disk a file capability names the root that it is for (revision 3); in the image it names none (revision 2). */
function asInImage(line: string): string {
  const ofStore =
    /(security\.capability=\\001\\000\\000)\\003((?:\\\d{3}){16})\\000\\000\\376\\177/;
  return line.replace(ofStore, "$1\\002$2");
}

function lines(text: string): readonly string[] {
  return text
    .trimEnd()
    .split("\n")
    .filter((line) => !line.startsWith(". "));
}

/** What an image of the store and umoci make of the layout's image "made", which has these extended attributes. */
async function compare(
  t: ExecutionContext,
  image: {
    readonly makeLayout: (root: string) => Promise<string>;
    readonly xattrs: readonly string[];
    readonly entriesMin: number;
    readonly timeoutMs?: number;
  },
): Promise<void> {
  await withStore(async ({ root, store }) => {
    await run("cc", ["-D_GNU_SOURCE", "-O1", "-o", join(root, "list-tree"), listTree]);
    const layout = await image.makeLayout(root);
    const abort = AbortSignal.timeout(image.timeoutMs ?? 60_000);
    const startedMs = performance.now();
    const [loaded] = await store.load(layout, { abort });
    const loadedMs = performance.now();
    const bundle = join(root, "bundle");
    await run("umoci", ["unpack", "--image", `${layout}:made`, bundle]);
    const umociMs = performance.now() - loadedMs;
    const rootfs = join(bundle, "rootfs");
    const { stdout } = await run(join(root, "list-tree"), [rootfs], { maxBuffer: 1 << 28 });
    const ours = (await ourTree(root, loaded?.layerDirs ?? [])).map(asInImage);
    t.log(`${ours.length} entries; ms: load ${loadedMs - startedMs}, umoci unpack ${umociMs}`);
    t.true(ours.length > image.entriesMin);
    for (const name of image.xattrs) {
      t.true(
        ours.some((line) => line.includes(name)),
        name,
      );
    }
    const theirs = lines(stdout);
    // A diff of all of it would be unreadable.
    const onlyOurs = new Set(ours).difference(new Set(theirs));
    const onlyTheirs = new Set(theirs).difference(new Set(ours));
    t.deepEqual([...onlyOurs].slice(0, 20), []);
    t.deepEqual([...onlyTheirs].slice(0, 20), []);
    t.is(ours.length, theirs.length);
  });
}

kernelTest("three layers come out as umoci unpacks them, file by file", async (t) => {
  if (!hasTool(t, "umoci")) return;
  await compare(t, {
    makeLayout: async (root) => {
      await run("bash", [layersScript, join(root, "layers")]);
      return writeImage(root);
    },
    xattrs: ["user.binary", "system.posix_acl_access", "system.posix_acl_default"],
    entriesMin: 30,
  });
});

const debianTitle = "a Debian of some 800 MB comes out as umoci unpacks it, file by file";
if (process.env.BERTH_DEBIAN_IMAGE === undefined) {
  test.skip(`${debianTitle} (minutes and a mirror: BERTH_DEBIAN_IMAGE=1 makes and compares one)`, () => {});
} else {
  kernelTest(debianTitle, async (t) => {
    t.timeout(1_800_000);
    if (!hasTool(t, "umoci") || !hasTool(t, "debootstrap")) return;
    await compare(t, {
      makeLayout: async (root) => {
        const made = process.env.BERTH_DEBIAN_IMAGE ?? "";
        if (existsSync(join(made, "index.json"))) return made;
        const layout = join(root, "debian");
        await run("bash", [debianScript, layout], { maxBuffer: 1 << 26 });
        return layout;
      },
      xattrs: ["security.capability"],
      entriesMin: 10_000,
      timeoutMs: 600_000,
    });
  });
}
