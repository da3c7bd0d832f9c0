import { randomBytes } from "node:crypto";
import { chownSync, existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { LAYER_ID_BASE } from "../images/layer-ids.ts";
import type { VolumeSpec, VolumeStatus } from "../runtime.ts";

type VolumeRow = { readonly name: string; readonly labels: string; readonly createdAtMs: number };

/** Named volumes: plain directories `volumes/NAME/_data`, owned by the shifted ids of the store. */
export class Volumes {
  readonly #dir: string;
  readonly #db: DatabaseSync;
  readonly #now: () => number;
  readonly #removeTree: (path: string) => Promise<void>;
  readonly #seeding = new Map<string, Promise<void>>();

  constructor(options: {
    readonly libDir: string;
    readonly state: DatabaseSync;
    readonly now: () => number;
    readonly removeTree: (path: string) => Promise<void>;
  }) {
    this.#dir = join(options.libDir, "volumes");
    this.#db = options.state;
    this.#now = options.now;
    this.#removeTree = options.removeTree;
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    this.#db.exec(`create table if not exists runtime_volumes (
      name text primary key, labels text not null, created_at_ms integer not null) strict`);
  }

  /** Idempotent; labels of an existing volume stay as they are. */
  ensure(spec: VolumeSpec): VolumeStatus {
    if (!namePattern.test(spec.name)) {
      throw new Error(
        `cannot make volume "${spec.name}": letters, digits, "_", "." and "-" are expected, at most 128`,
      );
    }
    const path = this.path(spec.name);
    if (!this.has(spec.name)) {
      mkdirSync(path, { recursive: true, mode: 0o755 });
      chownSync(path, LAYER_ID_BASE, LAYER_ID_BASE);
      this.#db
        .prepare(
          "insert or replace into runtime_volumes (name, labels, created_at_ms) values (?, ?, ?)",
        )
        .run(spec.name, JSON.stringify(spec.labels), this.#now());
    }
    return this.#status(this.#require(spec.name), []);
  }

  path(name: string): string {
    return join(this.#dir, name, "_data");
  }

  has(name: string): boolean {
    return this.#row(name) !== undefined && existsSync(this.path(name));
  }

  /** True until something was put into it. */
  isEmpty(name: string): boolean {
    return readdirSync(this.path(name)).length === 0;
  }

  /**
   * Fills an empty volume with what `fill` puts into the directory it is given. That one was never mounted anywhere, so
   * that no container can change it meanwhile; it takes the volume's place in one step, and only while `isInUse` is
   * false. One after the other for each volume; rejects as `fill` does, the volume is empty then.
   */
  seed(
    name: string,
    options: {
      readonly isInUse: () => boolean;
      readonly fill: (directory: string) => Promise<void>;
    },
  ): Promise<void> {
    const before = this.#seeding.get(name) ?? Promise.resolve();
    const seeded = before.catch(() => {}).then(() => this.#seed(name, options));
    this.#seeding.set(name, seeded);
    const forget = () => {
      if (this.#seeding.get(name) === seeded) this.#seeding.delete(name);
    };
    seeded.then(forget, forget);
    return seeded;
  }

  /** `users`: volume name -> ids of the containers that mount it. */
  list(users: ReadonlyMap<string, readonly string[]>): readonly VolumeStatus[] {
    const rows = this.#db.prepare(`${selectVolume} order by name`).all();
    return rows
      .map(readRow)
      .filter(({ name }) => existsSync(this.path(name)))
      .map((row) => this.#status(row, users.get(row.name) ?? []));
  }

  /** Deletes the data. Throws while a container mounts it. */
  async remove(name: string, users: readonly string[]): Promise<void> {
    if (users.length > 0) {
      const ids = users.map((id) => id.slice(0, 12)).join(", ");
      throw new Error(
        `cannot remove volume ${name} because it is in use by ${ids}: remove them first`,
      );
    }
    if (!this.has(name)) return;
    // All of it is gone at once: half a volume must not be mistaken for one.
    renameSync(join(this.#dir, name), join(this.#dir, `${removingPrefix}${name}`));
    await this.finishRemovals();
  }

  /** Removes what a removal that was cut short left. */
  async finishRemovals(): Promise<void> {
    for (const entry of readdirSync(this.#dir)) {
      if (!entry.startsWith(removingPrefix)) continue;
      const name = entry.slice(removingPrefix.length);
      if (!existsSync(join(this.#dir, name))) {
        this.#db.prepare("delete from runtime_volumes where name = ?").run(name);
      }
      await this.#removeTree(join(this.#dir, entry));
    }
  }

  /** Removes what seedings left that were cut short; for a time when none is under way. */
  async removeSeeds(): Promise<void> {
    for (const volume of readdirSync(this.#dir, { withFileTypes: true })) {
      if (!volume.isDirectory()) continue;
      const directory = join(this.#dir, volume.name);
      for (const entry of readdirSync(directory)) {
        if (entry.startsWith(seedPrefix)) await this.#removeTree(join(directory, entry));
      }
    }
  }

  async #seed(name: string, options: Parameters<Volumes["seed"]>[1]): Promise<void> {
    const { isInUse, fill } = options;
    const isWanted = () => !isInUse() && this.isEmpty(name);
    if (!isWanted()) return;
    const random = randomBytes(8).toString("hex");
    const directory = join(this.#dir, name, `${seedPrefix}${random}`);
    mkdirSync(directory, { mode: 0o755 });
    try {
      chownSync(directory, LAYER_ID_BASE, LAYER_ID_BASE);
      await fill(directory);
      // Asked again in the same turn as the rename: meanwhile a container may have mounted it.
      if (isWanted()) renameSync(directory, this.path(name));
    } finally {
      if (existsSync(directory)) await this.#removeTree(directory);
    }
  }

  #row(name: string): VolumeRow | undefined {
    const row = this.#db.prepare(`${selectVolume} where name = ?`).get(name);
    return row === undefined ? undefined : readRow(row);
  }

  #require(name: string): VolumeRow {
    const row = this.#row(name);
    if (row === undefined) throw new Error(`cannot find volume ${name}: it does not exist`);
    return row;
  }

  #status(row: VolumeRow, usedBy: readonly string[]): VolumeStatus {
    // Written by `ensure` from a Record<string, string>.
    const labels = JSON.parse(row.labels) as Record<string, string>;
    return {
      name: row.name,
      labels,
      path: this.path(row.name),
      createdAtMs: row.createdAtMs,
      usedBy,
    };
  }
}

/** No volume's name begins with a dot. */
const removingPrefix = ".removing-";
/** Beside `_data`, which alone is mounted. */
const seedPrefix = "_seed-";
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
const selectVolume = "select name, labels, created_at_ms from runtime_volumes";

function readRow(row: Record<string, unknown>): VolumeRow {
  return {
    name: String(row.name),
    labels: String(row.labels),
    createdAtMs: Number(row.created_at_ms),
  };
}
