import type { DatabaseSync } from "node:sqlite";
import type { ContainerSpec } from "../container-spec.ts";
import type { ProcessIdentity } from "../helper/launcher.ts";
import type { RunAs } from "../plan/plan-process.ts";
import type { ExitRecord } from "../runtime.ts";

/**
 * `creating`, `starting` and `removing` are intents: they are committed before the kernel is touched, and whoever finds
 * one at the next start finishes or undoes it.
 */
export type Phase = "creating" | "created" | "starting" | "running" | "exited" | "removing";

export type InventoryEntry = {
  readonly spec: ContainerSpec;
  readonly phase: Phase;
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly process?: ProcessIdentity;
  readonly supervisor?: ProcessIdentity;
  /** Version of the protocol that the supervisor of the run that goes on speaks; absent: that of who started it. */
  readonly protocol?: number;
  /** Of the run that goes on; absent in what an earlier version wrote. */
  readonly runAs?: RunAs;
  readonly exit?: ExitRecord;
  /** False until somebody who listens for ends has heard of this one. */
  readonly isExitTold?: boolean;
  /** Files of the run that goes on are being replaced, or could not be: it may see those of an earlier spec. */
  readonly reload?: "pending" | "failed";
  /** When they last were. */
  readonly reloadedAtMs?: number;
  /** Count of the cgroup before this run: a cgroup may serve several. */
  readonly oomKillsBefore?: number;
};

/** What is known of a container apart from any run of it. */
export function withoutRun({
  spec,
  createdAtMs,
  reloadedAtMs,
}: InventoryEntry): Pick<InventoryEntry, "spec" | "createdAtMs" | "reloadedAtMs"> {
  return { spec, createdAtMs, ...(reloadedAtMs === undefined ? {} : { reloadedAtMs }) };
}

/** The kernel-side inventory of containers, in `run/live.db`: it ends with the boot, as what it lists does. */
export class Inventory {
  readonly #db: DatabaseSync;
  readonly #entries = new Map<string, InventoryEntry>();

  constructor(db: DatabaseSync) {
    this.#db = db;
    db.exec(`create table if not exists runtime_containers (
      id text primary key, name text not null, entry text not null) strict`);
    dropUniqueNames(db);
    for (const row of db.prepare("select id, entry from runtime_containers").all()) {
      this.#entries.set(String(row.id), decodeEntry(String(row.entry)));
    }
  }

  get(id: string): InventoryEntry | undefined {
    return this.#entries.get(id);
  }

  /** Throws when there is no such container. */
  require(id: string): InventoryEntry {
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      throw new Error(`cannot find container ${id.slice(0, 12)}: it was removed or never created`);
    }
    return entry;
  }

  all(): IterableIterator<InventoryEntry> {
    return this.#entries.values();
  }

  put(entry: InventoryEntry): void {
    this.#db
      .prepare(
        `insert into runtime_containers (id, name, entry) values (?, ?, ?)
         on conflict (id) do update set entry = excluded.entry`,
      )
      .run(entry.spec.id, entry.spec.name, encodeEntry(entry));
    this.#entries.set(entry.spec.id, entry);
  }

  delete(id: string): void {
    this.#db.prepare("delete from runtime_containers where id = ?").run(id);
    this.#entries.delete(id);
  }
}

/** An earlier version let no two containers have one name, which a successor beside its predecessor needs. */
function dropUniqueNames(db: DatabaseSync): void {
  const table = db.prepare("select sql from sqlite_schema where name = 'runtime_containers'").get();
  if (!String(table?.sql).includes("unique")) return;
  db.exec(`begin immediate;
    create table runtime_containers_next (
      id text primary key, name text not null, entry text not null) strict;
    insert into runtime_containers_next select id, name, entry from runtime_containers;
    drop table runtime_containers;
    alter table runtime_containers_next rename to runtime_containers;
    commit`);
}

function encodeEntry(entry: InventoryEntry): string {
  return JSON.stringify(entry, (_, value: unknown) =>
    typeof value === "bigint" ? { bigint: value.toString() } : value,
  );
}

function decodeEntry(text: string): InventoryEntry {
  // Written by encodeEntry of this file, read in the same boot.
  return JSON.parse(text, (_, value: unknown) => {
    if (typeof value !== "object" || value === null || !("bigint" in value)) return value;
    return BigInt(String(value.bigint));
  }) as InventoryEntry;
}
