import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { lockAgent } from "./store/agent-lock.ts";
import { forgetInventoryOfEarlierBoot } from "./store/boot.ts";
import { createEventLog, type EventLog } from "./store/event-log.ts";
import { createLiveStore, type LiveStore, liveMigrations } from "./store/live-store.ts";
import { openDatabase } from "./store/open-database.ts";
import { createStateStore, type StateStore, stateMigrations } from "./store/state-store.ts";

export type Stores = {
  readonly state: StateStore;
  readonly live: LiveStore;
  readonly events: EventLog;
  readonly stateDatabase: DatabaseSync;
  readonly liveDatabase: DatabaseSync;
  /** The machine was booted since the last agent. */
  readonly rebooted: boolean;
  close(): void;
};

/** Locks the run directory for this process and opens both databases. Throws when another agent holds it. */
export function openStores(options: {
  readonly libDir: string;
  readonly runDir: string;
  readonly now: () => number;
}): Stores {
  const { libDir, runDir, now } = options;
  for (const dir of [libDir, runDir]) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
  }
  const lock = lockAgent(runDir);
  try {
    const rebooted = forgetInventoryOfEarlierBoot(runDir);
    const stateDatabase = openDatabase({
      path: join(libDir, "state.db"),
      synchronous: "FULL",
      migrations: stateMigrations,
    });
    const liveDatabase = openDatabase({
      path: join(runDir, "live.db"),
      synchronous: "OFF",
      migrations: liveMigrations,
    });
    const events = createEventLog(stateDatabase, now);
    return {
      state: createStateStore(stateDatabase),
      live: createLiveStore(liveDatabase),
      events,
      stateDatabase,
      liveDatabase,
      rebooted,
      close() {
        events.flush();
        liveDatabase.close();
        stateDatabase.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}
