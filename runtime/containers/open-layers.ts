import type { FsParameter } from "../program/host-operations.ts";
import { mountAttribute } from "../program/kernel-flags.ts";
import type { Slot } from "../program/operation-list.ts";
import type { Program } from "../program/program.ts";

/** The layers of an image (lowest first, at least one) as one directory, with the ids of the store. */
export function openLayers(program: Program, layerDirs: readonly string[]): Slot {
  const tree = program.slot();
  const [first] = layerDirs;
  if (first === undefined) throw new Error("cannot open layers: there are none");
  if (layerDirs.length === 1) {
    program.open(tree, null, openPathDirectory, first);
    return tree;
  }
  const parameters = layerDirs.toReversed().map((layer): FsParameter => {
    const slot = program.slot();
    program.openTree(slot, layer);
    return { kind: "fd", key: "lowerdir+", slot };
  });
  program.fsopen(tree, "overlay", mountAttribute.readOnly, parameters);
  return tree;
}

/** O_PATH | O_DIRECTORY of open(2). */
const openPathDirectory = 0o10_200_000;
