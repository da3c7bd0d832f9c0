/** What others may make the store hold, so that no image, registry or archive can exhaust memory or disk. */

/** A manifest, index or image configuration: what registries accept (distribution-spec, "Pushing Manifests"). */
export const DOCUMENT_BYTES_MAX = 4 * 1024 * 1024;
/** overlayfs takes 500 lower layers; Docker makes at most 127. */
export const LAYERS_MAX = 256;
/** Of one layer: compressed, unpacked content, and inodes. */
export const LAYER_BYTES_MAX = 64 * 1024 ** 3;
export const LAYER_ENTRIES_MAX = 4_000_000;
/** gzip cannot exceed 1,032:1; below the threshold a highly compressible small layer is fine. */
export const EXPANSION_RATIO_MAX = 300;
export const EXPANSION_CHECKED_FROM_BYTES = 512 * 1024 * 1024;
export const INDEX_DEPTH_MAX = 3;
/** Of an index that is kept whole. */
export const INDEX_BLOBS_MAX = 10_000;
export const LAYERS_AT_ONCE = 3;
/** Of an archive given to `load`. */
export const ARCHIVE_ENTRIES_MAX = 100_000;
