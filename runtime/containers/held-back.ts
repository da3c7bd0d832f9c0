import type { DatabaseSync } from "node:sqlite";

/**
 * Containers that others must not find yet, or any more: none of their ports is published and no name leads to them. In
 * `run/live.db`: what begins anew after a boot has nobody beside it.
 */
export class HeldBack {
  readonly #db: DatabaseSync;
  readonly #ids: Set<string>;

  constructor(db: DatabaseSync) {
    this.#db = db;
    db.exec("create table if not exists runtime_held_back (id text primary key) strict");
    const rows = db.prepare("select id from runtime_held_back").all();
    this.#ids = new Set(rows.map(({ id }) => String(id)));
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** One statement each way: a crash in between leaves both held back, and the change is made again. */
  add(id: string): void {
    this.#db.prepare("insert or ignore into runtime_held_back (id) values (?)").run(id);
    this.#ids.add(id);
  }

  delete(id: string): void {
    this.#db.prepare("delete from runtime_held_back where id = ?").run(id);
    this.#ids.delete(id);
  }
}
