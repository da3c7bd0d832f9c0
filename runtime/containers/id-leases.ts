import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";

export const idsPerContainer = 65_536;

/** systemd's range for container user ids (UIDS-GIDS): 524288 to 1879048191, in steps of 65536. */
const rangeStart = 0x8_0000;
const rangeEnd = 0x6fff_ffff;
const slotCount = Math.floor((rangeEnd + 1 - rangeStart) / idsPerContainer);

/** Gives each container 65,536 host ids of its own. A lease is durable: it is the same after a reboot. */
export class IdLeases {
  readonly #db: DatabaseSync;
  readonly #firstSlot: number;

  /** `seed`: two instances with different seeds begin at different places of the range. */
  constructor(db: DatabaseSync, seed: string) {
    this.#db = db;
    this.#firstSlot = createHash("sha256").update(seed).digest().readUInt32LE(0) % slotCount;
    db.exec(`create table if not exists runtime_id_leases (
      container text primary key, slot integer not null unique) strict`);
  }

  /** The first host id of the container's range; the same for every call until `release`. */
  lease(container: string): number {
    const held = this.#db
      .prepare("select slot from runtime_id_leases where container = ?")
      .get(container);
    const slot = held === undefined ? this.#take(container) : Number(held.slot);
    return rangeStart + slot * idsPerContainer;
  }

  release(container: string): void {
    this.#db.prepare("delete from runtime_id_leases where container = ?").run(container);
  }

  #take(container: string): number {
    const taken = new Set(
      this.#db
        .prepare("select slot from runtime_id_leases")
        .all()
        .map((row) => Number(row.slot)),
    );
    if (taken.size >= slotCount) {
      throw new Error(`cannot give ${container} user ids: all ${slotCount} ranges are leased`);
    }
    let slot = this.#firstSlot;
    while (taken.has(slot)) slot = (slot + 1) % slotCount;
    this.#db
      .prepare("insert into runtime_id_leases (container, slot) values (?, ?)")
      .run(container, slot);
    return slot;
  }
}
