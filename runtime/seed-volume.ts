import type { FsParameter } from "./host-operations.ts";
import { mountAttribute } from "./kernel-flags.ts";
import type { Launcher } from "./launcher.ts";
import { Program } from "./program.ts";

/**
 * Copies what the image has at `source` into the empty directory `destination`, in a child of the launcher: links in
 * the image resolve inside its tree, ids stay those of the store. An image without that directory leaves it empty.
 */
export async function seedVolume(
  launcher: Launcher,
  request: {
    /** Lowest first. */
    readonly layerDirs: readonly string[];
    readonly source: string;
    /** No container may have it mounted: what is copied keeps its owners and modes. */
    readonly destination: string;
  },
): Promise<void> {
  const program = new Program();
  const [tree, source, destination] = [program.slot(), program.slot(), program.slot()];
  const [first] = request.layerDirs;
  if (first === undefined) return;
  if (request.layerDirs.length === 1) {
    program.open(tree, null, openPathDirectory, first);
  } else {
    const parameters = request.layerDirs.toReversed().map((layer): FsParameter => {
      const slot = program.slot();
      program.openTree(slot, layer);
      return { kind: "fd", key: "lowerdir+", slot };
    });
    program.fsopen(tree, "overlay", mountAttribute.readOnly, parameters);
  }
  program
    .open(source, tree, openReadDirectory, request.source.replace(/^\/+/, "") || ".", {
      mayBeAbsent: true,
    })
    .open(destination, null, openReadDirectory, request.destination)
    .copyTree(source, destination, copyMsMax);
  await launcher.run(program.finish());
}

const copyMsMax = 10 * 60 * 1000;
const openPathDirectory = 0o10_200_000;
const openReadDirectory = 0o200_000;
