import { createHash } from "node:crypto";
import { canonicalJson } from "../canonical-json.ts";
import type { FileTree } from "./file-tree.ts";

/** 64 hex digits over everything that a container can see of a tree; where the content came from is no part. */
export function treeDigest({ kind, uid, gid, files }: FileTree): string {
  const seen = files.map(({ path, mode, sha256 }) => ({ path, mode, sha256 }));
  return sha256(canonicalJson({ kind, uid, gid, files: seen }));
}

export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
