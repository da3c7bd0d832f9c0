import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { createTreeStore } from "../../agent/trees/tree-store.ts";
import type { FileTree } from "../../manifests/trees/file-tree.ts";
import { treeDigest } from "../../manifests/trees/tree-digest.ts";
import { LAYER_ID_BASE } from "../../runtime/images/layer-ids.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { readTree } from "../manifests/read-tree.ts";

function treeOf(files: Readonly<Record<string, string>>, fields: Partial<FileTree> = {}) {
  const tree: FileTree = {
    kind: "directory",
    uid: 0,
    gid: 0,
    files: Object.entries(files).map(([path, text]) => ({
      path,
      mode: 0o640,
      sizeBytes: Buffer.byteLength(text),
      sha256: createHash("sha256").update(text).digest("hex"),
      source: { path: `repo/${path}` },
    })),
    ...fields,
  };
  return { tree, digest: treeDigest(tree) };
}

async function withLib(work: (lib: string) => Promise<void>): Promise<void> {
  const lib = mkdtempSync(join(tmpdir(), "bt-trees-"));
  try {
    await work(lib);
  } finally {
    rmSync(lib, { recursive: true, force: true });
  }
}

const names = (lib: string) => readdirSync(join(lib, "trees")).sort();

kernelTest("a tree is written once, with its modes and the store's owner", (t) =>
  withLib(async (lib) => {
    const { tree, digest } = treeOf({ "a/b": "1", c: "2" }, { uid: 7, gid: 8 });
    const store = createTreeStore(lib);
    const reader = readTree({ "repo/a/b": "1", "repo/c": "2" });
    await store.put({ [digest]: tree }, reader);
    const root = join(lib, "trees", digest, "root");
    t.is(readFileSync(join(root, "a/b"), "utf8"), "1");
    const { uid, gid, mode } = statSync(join(root, "c"));
    t.deepEqual([uid, gid, mode & 0o7777], [LAYER_ID_BASE + 7, LAYER_ID_BASE + 8, 0o640]);
    t.is(statSync(join(lib, "trees")).mode & 0o777, 0o700);
    // Nothing is read again.
    await store.put({ [digest]: tree }, readTree({}));
    t.deepEqual(names(lib), [digest]);
  }),
);

kernelTest("a tree whose content cannot be had leaves nothing, and is made when it can", (t) =>
  withLib(async (lib) => {
    const { tree, digest } = treeOf({ a: "1", b: "2" });
    const store = createTreeStore(lib);
    const other = readTree({ "repo/a": "1", "repo/b": "3" });
    await t.throwsAsync(store.put({ [digest]: tree }, other), {
      message: /cannot (keep|read) repo\/b/,
    });
    t.deepEqual(names(lib), []);
    await store.put({ [digest]: tree }, readTree({ "repo/a": "1", "repo/b": "2" }));
    t.deepEqual(names(lib), [digest]);
  }),
);

kernelTest("what a crash left half-made is not taken for a tree, and goes", (t) =>
  withLib(async (lib) => {
    const { tree, digest } = treeOf({ a: "1" });
    mkdirSync(join(lib, "trees", "incoming-0123", "root"), { recursive: true });
    const store = createTreeStore(lib);
    await store.put({ [digest]: tree }, readTree({ "repo/a": "1" }));
    await store.keepOnly(new Set([digest]));
    t.deepEqual(names(lib), [digest]);
    await store.keepOnly(new Set());
    t.deepEqual(names(lib), []);
  }),
);

kernelTest("content that stands in the manifest is a tree of its own", (t) =>
  withLib(async (lib) => {
    const file = {
      ...treeOf({ "": "hello" }).tree.files[0],
      mode: 0o444,
      source: { text: "hello" },
    };
    const tree = { ...treeOf({}).tree, kind: "file", files: [file] } as FileTree;
    await createTreeStore(lib).put({ [treeDigest(tree)]: tree }, readTree({}));
    t.is(readFileSync(join(lib, "trees", treeDigest(tree), "root"), "utf8"), "hello");
  }),
);

test("a directory without trees has nothing to remove", (t) =>
  withLib(async (lib) => {
    await createTreeStore(lib).keepOnly(new Set());
    t.pass();
  }));
