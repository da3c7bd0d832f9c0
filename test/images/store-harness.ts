import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { helperPath } from "../../runtime/helper/helper-path.ts";
import { Launcher } from "../../runtime/helper/launcher.ts";
import { LayerUnpacker } from "../../runtime/helper/layer-unpacker.ts";
import type { ImageMeters, ImageStore } from "../../runtime/images/image-store.ts";
import { openImageStore } from "../../runtime/images/open-image-store.ts";
import type { Unpacker } from "../../runtime/images/unpacker.ts";
import {
  noRegistrySettings,
  type RegistrySettings,
} from "../../runtime/registry/registry-settings.ts";
import { acceptAll, type TrustPolicy } from "../../runtime/trust/trust-policy.ts";

export type StoreBench = {
  readonly root: string;
  readonly images: string;
  readonly store: ImageStore;
  readonly state: DatabaseSync;
  /** Opens the store again over the same directory and database, as after a crash. */
  reopen(trace?: (step: string) => void): Promise<ImageStore>;
  /** Names in `blobs/sha256`, `layers` and `incoming`, sorted. */
  content(): { blobs: string[]; layers: string[]; incoming: string[] };
};

export const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A store of its own over the real helper; everything of it is gone afterwards. */
export async function withStore(
  work: (bench: StoreBench) => Promise<void>,
  root: string = mkdtempSync(join(tmpdir(), "bt-images-")),
  registries: RegistrySettings = noRegistrySettings,
  imageTrust: () => TrustPolicy = () => acceptAll,
  imageMeters?: ImageMeters,
  wrapped: (unpacker: Unpacker, launcher: Launcher) => Unpacker = (unpacker) => unpacker,
): Promise<void> {
  const launcher = new Launcher({ helperPath, log: silent });
  const state = new DatabaseSync(join(root, "state.db"));
  const unpacker = wrapped(new LayerUnpacker(launcher, join(root, "run")), launcher);
  const images = join(root, "lib", "images");
  const open = (trace?: (step: string) => void): Promise<ImageStore> =>
    openImageStore({
      ...(trace === undefined ? {} : { trace }),
      libDir: join(root, "lib"),
      state,
      log: silent,
      registries,
      imageTrust,
      ...(imageMeters === undefined ? {} : { imageMeters }),
      now: () => Date.now(),
      unpacker,
    });
  const list = (name: string): string[] =>
    existsSync(join(images, name)) ? readdirSync(join(images, name)).toSorted() : [];
  try {
    await launcher.open();
    const store = await open();
    const content = () => ({
      blobs: list("blobs/sha256"),
      layers: list("layers"),
      incoming: list("incoming"),
    });
    await work({ root, images, store, state, reopen: open, content });
  } finally {
    state.close();
    await launcher.close();
    rmSync(root, { recursive: true, force: true });
  }
}

export const soon = (): AbortSignal => AbortSignal.timeout(60_000);
