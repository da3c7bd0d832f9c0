import { join } from "node:path";

/** Where the immutable trees of one instance lie, each below its digest. */
export function treesDir(libDir: string): string {
  return join(libDir, "trees");
}

/** What is mounted of a tree: a directory or a single file. Throws for what is no digest. */
export function treeRoot(libDir: string, digest: string): string {
  if (!/^[0-9a-f]{64}$/.test(digest)) {
    throw new Error(`cannot mount the tree "${digest}" because 64 hex digits are expected`);
  }
  return join(treesDir(libDir), digest, "root");
}
