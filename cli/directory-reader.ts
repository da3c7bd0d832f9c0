/** Files of a working tree, as a commit of it would show them. */
import { constants } from "node:fs";
import { lstat, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { FileReader } from "../manifests/desired-state.ts";
import { fileTooLarge } from "../manifests/file-too-large.ts";

const FILES_MAX = 200_000;
const DEPTH_MAX = 64;
const SKIPPED = new Set([".git", "node_modules"]);

/**
 * Reads regular files below `root` only. Symlinks are no files, here as in a commit, so nothing leads out of the
 * tree; `.git` and `node_modules` are passed over. Rejects a tree of more than 200,000 files or 64 levels.
 */
export function createDirectoryReader(root: string): FileReader {
  let listing: Promise<Listing> | undefined;
  const list = (): Promise<Listing> => {
    listing ??= listFiles(root);
    return listing;
  };
  return {
    list: async () => [...(await list()).files],
    async read(path, bytesMax) {
      // Only what the listing found is opened: it holds no `..`, no link and no absolute path.
      if (!(await list()).files.has(path)) return undefined;
      return readRegularFile({ file: join(root, path), path, bytesMax });
    },
    async isExecutable(path) {
      if (!(await list()).files.has(path)) return false;
      return ((await lstat(join(root, path))).mode & 0o100) !== 0;
    },
    others: async () => (await list()).others,
  };
}

type Listing = { readonly files: ReadonlySet<string>; readonly others: readonly string[] };

async function listFiles(root: string): Promise<Listing> {
  const files: string[] = [];
  const others: string[] = [];
  const pending: { readonly directory: string; readonly depth: number }[] = [
    { directory: "", depth: 0 },
  ];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { directory, depth } = next;
    for (const entry of await readdir(join(root, directory), { withFileTypes: true })) {
      const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
      if (entry.isFile()) files.push(path);
      if (entry.isSymbolicLink()) others.push(path);
      if (entry.isDirectory() && !SKIPPED.has(entry.name))
        pending.push({ directory: path, depth: depth + 1 });
    }
    if (files.length > FILES_MAX || depth > DEPTH_MAX) {
      throw new Error(
        `cannot read ${root} because it has more than ${FILES_MAX} files or ${DEPTH_MAX} levels: ` +
          "name the directory of the manifests",
      );
    }
  }
  return { files: new Set(files.sort()), others };
}

async function readRegularFile(options: {
  readonly file: string;
  readonly path: string;
  readonly bytesMax: number;
}): Promise<Uint8Array> {
  const { file, path, bytesMax } = options;
  // O_NONBLOCK: a FIFO that took the file's place since the listing must not hold us.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new Error(`cannot read ${path} because it is not a regular file`);
    const bytes = Buffer.alloc(Math.min(found.size, bytesMax) + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
      if (length > bytesMax) throw fileTooLarge(path, bytesMax);
      if (length === bytes.length)
        throw new Error(`cannot read ${path} because it grows: try again`);
    }
    return bytes.subarray(0, length);
  } finally {
    await handle.close();
  }
}
