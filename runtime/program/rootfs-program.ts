import type { FsParameter } from "./host-operations.ts";
import { mountAttribute } from "./kernel-flags.ts";
import type { Slot } from "./operation-list.ts";
import type { Program } from "./program.ts";

/**
 * Host part: the overlay of the image's layers (lowest first) under the writable directory, all idmapped so that ids
 * of the store appear as the container's. Returns the slot of the detached root.
 */
export function prepareOverlay(
  program: Program,
  source: {
    readonly layerDirs: readonly string[];
    /** Holds `upper` and `work`. */
    readonly writableDir: string;
    readonly storeIds: Slot;
    /** Host id of the container's root: who makes the overlay's own directories. */
    readonly idBase: number;
  },
): Slot {
  const parameters: FsParameter[] = [];
  for (const layer of source.layerDirs.toReversed()) {
    const slot = program.slot();
    program.openTree(slot, layer).mountSetattr(slot, { userNamespace: source.storeIds });
    parameters.push({ kind: "fd", key: "lowerdir+", slot });
  }
  const [writable, upper, work, root] = [
    program.slot(),
    program.slot(),
    program.slot(),
    program.slot(),
  ];
  program
    .openTree(writable, source.writableDir)
    .mountSetattr(writable, { userNamespace: source.storeIds })
    .open(upper, writable, openPathDirectory, "upper")
    .open(work, writable, openPathDirectory, "work");
  parameters.push(
    { kind: "fd", key: "upperdir", slot: upper },
    { kind: "fd", key: "workdir", slot: work },
  );
  program
    .fileSystemIds(source.idBase, source.idBase)
    .fsopen(root, "overlay", noDev, parameters)
    .fileSystemIds(0, 0);
  return root;
}

const { noDev } = mountAttribute;
/** O_PATH | O_DIRECTORY of open(2). */
const openPathDirectory = 0o10_200_000;
