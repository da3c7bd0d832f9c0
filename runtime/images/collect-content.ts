import { randomUUID } from "node:crypto";
import { renameSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../runtime.ts";
import type { ContentPins } from "./content-pins.ts";
import { type Digest, digestHex, isDigest } from "./digest.ts";
import type { ImageRecords } from "./image-records.ts";
import type { StoreLayout } from "./store-layout.ts";
import type { Unpacker } from "./unpacker.ts";

export type CollectorParts = {
  readonly layout: StoreLayout;
  readonly records: ImageRecords;
  readonly pins: ContentPins;
  readonly unpacker: Unpacker;
  readonly log: Log;
  /** Sees every change before it is made. */
  readonly trace?: ((step: string) => void) | undefined;
};

/**
 * Removes every blob and layer that no image needs and no work under way has pinned. Returns the bytes that this
 * freed: blobs, and the content of unpacked layers.
 */
export async function collectContent(parts: CollectorParts): Promise<number> {
  const { layout, records, trace } = parts;
  const blobNames = await readdir(layout.blobs);
  const layerNames = new Set(await readdir(layout.layers));
  for (const chainId of records.layers()) layerNames.add(digestHex(chainId));
  // From here to the last rename there is no await: nothing can be pinned or recorded in between.
  const needed = records.needed();
  const isNeeded = (digest: Digest, by: ReadonlySet<Digest>): boolean =>
    by.has(digest) || parts.pins.has(digest);
  const trash: string[] = [];
  let bytes = 0;
  for (const name of layerNames) {
    const chainId = `sha256:${name}`;
    if (isDigest(chainId)) {
      if (isNeeded(chainId, needed.layers)) continue;
      bytes += records.layerBytes(chainId);
      trace?.(`forget layer ${name}`);
      records.removeLayer(chainId);
    }
    trace?.(`move layer ${name}`);
    moveAside({ from: layout.layers, name, to: layout.incoming }, trash);
  }
  const blobTrash: string[] = [];
  for (const name of blobNames) {
    const digest = `sha256:${name}`;
    if (isDigest(digest) && isNeeded(digest, needed.blobs)) continue;
    trace?.(`move blob ${name}`);
    moveAside({ from: layout.blobs, name, to: layout.incoming }, blobTrash);
  }
  for (const path of blobTrash) bytes += (await lstat(path)).size;
  for (const path of [...trash, ...blobTrash]) {
    trace?.("remove what was moved");
    await removeOrLeave(path, parts.unpacker, parts.log);
  }
  trace?.("done");
  return bytes;
}

/**
 * What a crash leaves aside is removed when the store is opened. What cannot be, stays for the next time: a killed
 * agent's unpacking child may live a moment longer than the agent and still write there.
 */
export async function emptyIncoming(
  layout: StoreLayout,
  unpacker: Unpacker,
  log: Log,
): Promise<number> {
  const names = await readdir(layout.incoming);
  for (const name of names) await removeOrLeave(join(layout.incoming, name), unpacker, log);
  return names.length;
}

async function removeOrLeave(path: string, unpacker: Unpacker, log: Log): Promise<void> {
  try {
    await unpacker.removeTree(path);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    log.warn("leftover of the image store not removed yet", { path, cause });
  }
}

function moveAside(
  content: { readonly from: string; readonly name: string; readonly to: string },
  trash: string[],
): void {
  const aside = join(content.to, `trash-${randomUUID()}`);
  try {
    renameSync(join(content.from, content.name), aside);
    trash.push(aside);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}
