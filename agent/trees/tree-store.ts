import { createHash, randomBytes } from "node:crypto";
import { chown, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { FileReader } from "../../manifests/desired-state.ts";
import type { FileTree, TreeFile } from "../../manifests/trees/file-tree.ts";
import { treesDir } from "../../runtime/containers/tree-paths.ts";
import { LAYER_ID_BASE } from "../../runtime/images/layer-ids.ts";

/** Files of revisions that containers mount, kept on this host: each tree below its digest, never changed. */
export type TreeStore = {
  /** Brings what is missing, from the revision that it belongs to. On the disk when it resolves. */
  put(trees: Readonly<Record<string, FileTree>>, reader: FileReader): Promise<void>;
  /** Removes every tree but these. */
  keepOnly(digests: ReadonlySet<string>): Promise<void>;
};

const incoming = "incoming-";

/**
 * A tree is written beside its place and renamed to it once all of it is on the disk: whatever stands there is whole,
 * whenever the power fails. Leftovers go with the next `keepOnly`.
 */
export function createTreeStore(libDir: string): TreeStore {
  const directory = treesDir(libDir);
  return {
    async put(trees, reader) {
      for (const [digest, tree] of Object.entries(trees)) {
        if (await exists(join(directory, digest))) continue;
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await putTree({ directory, digest, tree, reader });
      }
    },
    async keepOnly(digests) {
      for (const name of await namesIn(directory)) {
        if (digests.has(name)) continue;
        // Renamed first: half a tree must not stand under its digest.
        const doomed = name.startsWith(incoming) ? name : incoming + name;
        if (doomed !== name) await rename(join(directory, name), join(directory, doomed));
        await rm(join(directory, doomed), { recursive: true, force: true });
      }
    },
  };
}

async function putTree({
  directory,
  digest,
  tree,
  reader,
}: {
  readonly directory: string;
  readonly digest: string;
  readonly tree: FileTree;
  readonly reader: FileReader;
}): Promise<void> {
  const place = join(directory, `${incoming}${randomBytes(8).toString("hex")}`);
  const root = join(place, "root");
  await mkdir(place, { mode: 0o700 });
  try {
    const made = new Set([place]);
    if (tree.kind === "directory") await makeDirectory(root, tree, made);
    for (const file of tree.files) {
      const path = file.path === "" ? root : join(root, file.path);
      await makeDirectory(dirname(path), tree, made);
      await writeFile({ path, file, tree, bytes: await contentOf(file, reader) });
    }
    for (const made_ of made) await syncPath(made_);
    await rename(place, join(directory, digest));
    await syncPath(directory);
  } catch (error) {
    await rm(place, { recursive: true, force: true });
    throw error;
  }
}

async function contentOf(file: TreeFile, reader: FileReader): Promise<Uint8Array> {
  const { source, sha256, sizeBytes } = file;
  if ("text" in source) return Buffer.from(source.text);
  const bytes = await reader.read(source.path, sizeBytes);
  if (bytes !== undefined && createHash("sha256").update(bytes).digest("hex") === sha256)
    return bytes;
  throw new Error(
    `cannot keep ${source.path} because the revision holds something else by now: the commit that was compiled is expected`,
  );
}

/** With its parents, as far as they are not made yet. */
async function makeDirectory(path: string, tree: FileTree, made: Set<string>): Promise<void> {
  if (made.has(path)) return;
  await makeDirectory(dirname(path), tree, made);
  await mkdir(path, { mode: 0o755 });
  await chown(path, LAYER_ID_BASE + tree.uid, LAYER_ID_BASE + tree.gid);
  made.add(path);
}

async function writeFile({
  path,
  file,
  tree,
  bytes,
}: {
  readonly path: string;
  readonly file: TreeFile;
  readonly tree: FileTree;
  readonly bytes: Uint8Array;
}): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.chown(LAYER_ID_BASE + tree.uid, LAYER_ID_BASE + tree.gid);
    // After the owner: chown(2) takes set-id bits away.
    await handle.chmod(file.mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return readdir(directory).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  });
}
