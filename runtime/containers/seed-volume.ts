import type { Launcher } from "../helper/launcher.ts";
import { Program } from "../program/program.ts";
import { openLayers } from "./open-layers.ts";

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
  if (request.layerDirs.length === 0) return;
  const tree = openLayers(program, request.layerDirs);
  const [source, destination] = [program.slot(), program.slot()];
  program
    .open(source, tree, openReadDirectory, request.source.replace(/^\/+/, "") || ".", {
      mayBeAbsent: true,
    })
    .open(destination, null, openReadDirectory, request.destination)
    .copyTree(source, destination, copyMsMax);
  await launcher.run(program.finish());
}

const copyMsMax = 10 * 60 * 1000;
const openReadDirectory = 0o200_000;
