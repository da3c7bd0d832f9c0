import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "./durable-files.ts";

/** The directories of the store: root's alone, for what they hold is as private as the containers (CVE-2024-25621). */
export type StoreLayout = {
  readonly root: string;
  readonly blobs: string;
  readonly layers: string;
  /** Whatever is not finished: on the same file system as the rest, emptied when the store is opened. */
  readonly incoming: string;
};

/** Makes `LIB/images` and what belongs below it. */
export async function makeStoreLayout(libDir: string): Promise<StoreLayout> {
  const root = join(libDir, "images");
  const layout = {
    root,
    blobs: join(root, "blobs", "sha256"),
    layers: join(root, "layers"),
    incoming: join(root, "incoming"),
  };
  const directories = [root, join(root, "blobs"), layout.blobs, layout.layers, layout.incoming];
  for (const path of directories) {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await chmod(path, 0o700);
  }
  for (const path of [libDir, root, join(root, "blobs")]) await syncDirectory(path);
  return layout;
}
