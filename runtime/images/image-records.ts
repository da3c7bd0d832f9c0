import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import { type Digest, parseDigest } from "./digest.ts";
import type { Image, ImageConfig } from "./image-store.ts";
import type { KeptIndex } from "./kept-index.ts";

/** What is stored of an image; `Image` adds where its layers lie. */
export type ImageRecord = Omit<Image, "layerDirs" | "references" | "digest" | "layerDigests"> & {
  readonly digest: Digest;
  readonly configDigest: Digest;
  readonly layers: readonly { readonly digest: Digest; readonly chainId: Digest }[];
  /** Of the last index that it was chosen from. */
  readonly index?: KeptIndex;
};

/** Manifest, configuration and layers, and what is kept of the index. Some may be there twice. */
export function blobsOf({ digest, configDigest, layers, index }: ImageRecord): Digest[] {
  return [digest, configDigest, ...layers.map((layer) => layer.digest), ...(index?.blobs ?? [])];
}

export type NeededContent = {
  readonly blobs: ReadonlySet<Digest>;
  readonly layers: ReadonlySet<Digest>;
};

const SCHEMA_VERSION = 1;
const schema = `
  CREATE TABLE IF NOT EXISTS runtime_image_schema (version INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS runtime_image (
    digest TEXT PRIMARY KEY, record TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS runtime_image_reference (
    reference TEXT PRIMARY KEY, digest TEXT NOT NULL REFERENCES runtime_image (digest)
  ) STRICT;
  -- An index of which the image is the part for this platform.
  CREATE TABLE IF NOT EXISTS runtime_image_index (
    index_digest TEXT PRIMARY KEY, digest TEXT NOT NULL REFERENCES runtime_image (digest)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS runtime_image_layer (
    chain_id TEXT PRIMARY KEY, content_bytes INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS runtime_image_use (
    digest TEXT PRIMARY KEY, used_at_ms INTEGER NOT NULL
  ) STRICT;
`;

/**
 * The durable facts about images, all of them in memory too: they are read on every reconcile. A record is written
 * only once the files it speaks of are on stable storage, and removed before they are.
 */
export class ImageRecords {
  readonly #state: DatabaseSync;
  readonly #images = new Map<Digest, ImageRecord>();
  readonly #references = new Map<string, Digest>();
  readonly #indexes = new Map<Digest, Digest>();
  readonly #layers = new Map<Digest, number>();
  readonly #usedAtMs = new Map<Digest, number>();

  constructor(state: DatabaseSync) {
    this.#state = state;
    state.exec(schema);
    checkVersion(state);
    this.#load();
  }

  images(): readonly ImageRecord[] {
    return [...this.#images.values()];
  }

  /** By the digest of its manifest or of an index that it was chosen from. */
  byDigest(digest: Digest): ImageRecord | undefined {
    return this.#images.get(digest) ?? this.#images.get(this.#indexes.get(digest) ?? digest);
  }

  byReference(reference: string): ImageRecord | undefined {
    const digest = this.#references.get(reference);
    return digest === undefined ? undefined : this.#images.get(digest);
  }

  referencesOf(digest: Digest): readonly string[] {
    return [...this.#references].filter(([, named]) => named === digest).map(([name]) => name);
  }

  indexesOf(digest: Digest): readonly Digest[] {
    return [...this.#indexes].filter(([, part]) => part === digest).map(([index]) => index);
  }

  hasLayer(chainId: Digest): boolean {
    return this.#layers.has(chainId);
  }

  layerBytes(chainId: Digest): number {
    return this.#layers.get(chainId) ?? 0;
  }

  layers(): readonly Digest[] {
    return [...this.#layers.keys()];
  }

  /** Writes an image with the names it came under; a name that another image had moves here. */
  putImage(
    record: ImageRecord,
    names: { references: readonly string[]; indexes: readonly Digest[] },
  ): void {
    this.#transaction(() => {
      this.#run(
        "INSERT OR REPLACE INTO runtime_image VALUES (?, ?)",
        record.digest,
        JSON.stringify(record),
      );
      for (const reference of names.references) this.#writeReference(reference, record.digest);
      for (const index of names.indexes) {
        this.#run("INSERT OR REPLACE INTO runtime_image_index VALUES (?, ?)", index, record.digest);
      }
    });
    this.#images.set(record.digest, record);
    for (const reference of names.references) this.#references.set(reference, record.digest);
    for (const index of names.indexes) this.#indexes.set(index, record.digest);
  }

  setReference(reference: string, digest: Digest): void {
    this.#writeReference(reference, digest);
    this.#references.set(reference, digest);
  }

  removeReference(reference: string): void {
    this.#run("DELETE FROM runtime_image_reference WHERE reference = ?", reference);
    this.#references.delete(reference);
  }

  /** Forgets an image and all of its names. Its content is then for collection to take. */
  removeImage(digest: Digest): void {
    this.#transaction(() => {
      this.#run("DELETE FROM runtime_image_reference WHERE digest = ?", digest);
      this.#run("DELETE FROM runtime_image_index WHERE digest = ?", digest);
      this.#run("DELETE FROM runtime_image_use WHERE digest = ?", digest);
      this.#run("DELETE FROM runtime_image WHERE digest = ?", digest);
    });
    this.#usedAtMs.delete(digest);
    for (const reference of this.referencesOf(digest)) this.#references.delete(reference);
    for (const index of this.indexesOf(digest)) this.#indexes.delete(index);
    this.#images.delete(digest);
  }

  /**
   * Waits for no disk, which would hold up everything while the next layers are written to it: a record that a power cut
   * takes away leaves a directory that nobody knows. That of an image is on the disk with all before it.
   */
  addLayer(chainId: Digest, contentBytes: number): void {
    const { synchronous } = this.#state.prepare("PRAGMA synchronous").get() ?? {};
    this.#state.exec("PRAGMA synchronous = NORMAL");
    try {
      this.#run("INSERT OR REPLACE INTO runtime_image_layer VALUES (?, ?)", chainId, contentBytes);
    } finally {
      this.#state.exec(`PRAGMA synchronous = ${synchronous}`);
    }
    this.#layers.set(chainId, contentBytes);
  }

  removeLayer(chainId: Digest): void {
    this.#run("DELETE FROM runtime_image_layer WHERE chain_id = ?", chainId);
    this.#layers.delete(chainId);
  }

  /** When it was last said to be in use, or came here. */
  usedAtMs(image: ImageRecord): number {
    return Math.max(image.pulledAtMs, this.#usedAtMs.get(image.digest) ?? 0);
  }

  setUsed(digest: Digest, usedAtMs: number): void {
    this.#run("INSERT OR REPLACE INTO runtime_image_use VALUES (?, ?)", digest, usedAtMs);
    this.#usedAtMs.set(digest, usedAtMs);
  }

  /** Digests of the blobs and ChainIDs of the layers that some image needs, those in `without` not counted. */
  needed(without: ReadonlySet<Digest> = new Set()): NeededContent {
    const blobs = new Set<Digest>();
    const layers = new Set<Digest>();
    for (const image of this.#images.values()) {
      if (without.has(image.digest)) continue;
      for (const digest of blobsOf(image)) blobs.add(digest);
      for (const { chainId } of image.layers) layers.add(chainId);
    }
    return { blobs, layers };
  }

  #load(): void {
    for (const row of this.#state.prepare("SELECT record FROM runtime_image").all()) {
      const record = readRecord(text(row.record));
      this.#images.set(record.digest, record);
    }
    for (const row of this.#state.prepare("SELECT * FROM runtime_image_reference").all()) {
      this.#references.set(text(row.reference), parseDigest(text(row.digest)));
    }
    for (const row of this.#state.prepare("SELECT * FROM runtime_image_index").all()) {
      this.#indexes.set(parseDigest(text(row.index_digest)), parseDigest(text(row.digest)));
    }
    for (const row of this.#state.prepare("SELECT * FROM runtime_image_layer").all()) {
      this.#layers.set(parseDigest(text(row.chain_id)), Number(row.content_bytes));
    }
    for (const row of this.#state.prepare("SELECT * FROM runtime_image_use").all()) {
      this.#usedAtMs.set(parseDigest(text(row.digest)), Number(row.used_at_ms));
    }
  }

  #writeReference(reference: string, digest: Digest): void {
    this.#run("INSERT OR REPLACE INTO runtime_image_reference VALUES (?, ?)", reference, digest);
  }

  #run(sql: string, ...values: (string | number)[]): void {
    this.#state.prepare(sql).run(...values);
  }

  /** A savepoint, so that it also works inside a transaction of whoever shares the database. */
  #transaction(work: () => void): void {
    this.#state.exec("SAVEPOINT runtime_image");
    try {
      work();
      this.#state.exec("RELEASE runtime_image");
    } catch (error) {
      this.#state.exec("ROLLBACK TO runtime_image; RELEASE runtime_image");
      throw error;
    }
  }
}

function checkVersion(state: DatabaseSync): void {
  const row = state.prepare("SELECT max(version) AS version FROM runtime_image_schema").get();
  const version = row?.version ?? null;
  if (version === null) {
    state.prepare("INSERT INTO runtime_image_schema VALUES (?)").run(SCHEMA_VERSION);
  } else if (Number(version) > SCHEMA_VERSION) {
    throw new Error(
      `cannot open the image store because its records are of schema ${version}, ` +
        `written by a newer berth: schema ${SCHEMA_VERSION} is expected`,
    );
  }
}

function text(value: SQLOutputValue | undefined): string {
  if (typeof value !== "string") throw new Error("a column of the image store is not text");
  return value;
}

/** Our own JSON, as `putImage` wrote it into a strict table. */
function readRecord(json: string): ImageRecord {
  const record: ImageRecord & { config: ImageConfig } = JSON.parse(json);
  return record;
}
