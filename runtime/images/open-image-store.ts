import { readdir } from "node:fs/promises";
import type { DatabaseSync } from "node:sqlite";
import { RegistryClient } from "../registry/registry-client.ts";
import { noRegistrySettings, type RegistrySettings } from "../registry/registry-settings.ts";
import type { Log } from "../runtime.ts";
import { ImageTrust } from "../trust/image-trust.ts";
import { acceptAll, type TrustPolicy } from "../trust/trust-policy.ts";
import { BlobStore } from "./blob-store.ts";
import { collectContent, emptyIncoming } from "./collect-content.ts";
import { ContentPins } from "./content-pins.ts";
import { digestHex } from "./digest.ts";
import { DiskSpace } from "./disk-space.ts";
import { ImageRecords } from "./image-records.ts";
import type { ImageMeters, ImageStore } from "./image-store.ts";
import { LayerStore } from "./layer-store.ts";
import { hostPlatform } from "./platform.ts";
import { makeStoreLayout, type StoreLayout } from "./store-layout.ts";
import { StoredImages } from "./stored-images.ts";
import type { Unpacker } from "./unpacker.ts";

export type ImageStoreOptions = {
  /** Durable directory; the store lies in `images` below it. */
  readonly libDir: string;
  /** `lib/state.db`; the tables are made here and begin with `runtime_image`. */
  readonly state: DatabaseSync;
  readonly log: Log;
  /** How registries are spoken to; undefined: by HTTPS, without proxies, and to loopback over plain HTTP too. */
  readonly registries?: RegistrySettings;
  /** Which images may be pulled, as it is now; undefined: all. */
  readonly imageTrust?: () => TrustPolicy;
  readonly imageMeters?: ImageMeters;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly unpacker: Unpacker;
  /** Sees every change of a collection before it is made. */
  readonly trace?: (step: string) => void;
};

const noMeters: ImageMeters = { received() {}, layer() {}, unpacked() {} };

/** Opens the store and removes what an interrupted pull, load or removal left behind. */
export async function openImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const { state, log, now, unpacker } = options;
  const layout = await makeStoreLayout(options.libDir);
  const records = new ImageRecords(state);
  const leftovers = await emptyIncoming(layout, unpacker, log);
  await forgetBrokenImages(layout, records, log);
  const pins = new ContentPins();
  const bytes = await collectContent({ layout, records, pins, unpacker, log });
  if (leftovers > 0 || bytes > 0) log.info("image store tidied", { leftovers, bytes });
  const blobs = new BlobStore(layout);
  const meters = options.imageMeters ?? noMeters;
  const layers = new LayerStore({ layout, blobs, records, unpacker, meters });
  const settings = options.registries ?? noRegistrySettings;
  const registry = new RegistryClient({ settings, now, log });
  const platform = hostPlatform();
  return new StoredImages({
    layout,
    space: new DiskSpace(layout.root),
    blobs,
    layers,
    records,
    platform,
    now,
    pins,
    unpacker,
    log,
    trace: options.trace,
    registry,
    meters,
    trust: new ImageTrust(options.imageTrust ?? (() => acceptAll)),
  });
}

/** An image whose files somebody removed is forgotten, so that the next pull brings it again. */
async function forgetBrokenImages(
  layout: StoreLayout,
  records: ImageRecords,
  log: Log,
): Promise<void> {
  const blobs = new Set(await readdir(layout.blobs));
  const layers = new Set(await readdir(layout.layers));
  for (const chainId of records.layers()) {
    if (!layers.has(digestHex(chainId))) records.removeLayer(chainId);
  }
  for (const image of records.images()) {
    const isWhole =
      [image.digest, image.configDigest].every((digest) => blobs.has(digestHex(digest))) &&
      image.layers.every(({ chainId }) => records.hasLayer(chainId));
    if (isWhole) continue;
    log.warn("image forgotten because its files are gone", { image: image.digest });
    records.removeImage(image.digest);
  }
}
