import type { DatabaseSync } from "node:sqlite";
import type { AgentEvent } from "../control/control.ts";
import { inTransaction } from "./open-database.ts";

export type NewEvent = {
  readonly kind: string;
  readonly app?: string;
  readonly target: string;
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
};

/**
 * What happened, newest last, bounded. Events reach followers at once and the disk in batches: a step waits for no
 * fsync, and a power cut loses the last quarter of a second of them.
 */
export type EventLog = {
  record(event: NewEvent): void;
  /** Oldest first. */
  recorded(): readonly AgentEvent[];
  /** Returns the function that ends it. */
  subscribe(listener: (event: AgentEvent) => void): () => void;
  flush(): void;
};

const eventsMax = 10_000;
const flushDelayMs = 250;
const retryDelayMs = 2_000;

export function createEventLog(database: DatabaseSync, now: () => number): EventLog {
  const insert = database.prepare(
    "INSERT INTO agent_events (id, time_ms, kind, app, target, message, fields) VALUES (?, ?, ?, ?, ?, ?, ?)",
  );
  const trim = database.prepare("DELETE FROM agent_events WHERE id <= ?");
  const newest = database.prepare("SELECT max(id) AS id FROM agent_events").get();
  let nextId = Number(newest?.id ?? 0) + 1;
  let pending: { readonly event: AgentEvent; readonly timeMs: number }[] = [];
  let timer: NodeJS.Timeout | undefined;
  const listeners = new Set<(event: AgentEvent) => void>();

  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    const batch = pending;
    pending = [];
    if (batch.length === 0) return;
    try {
      inTransaction(database, () => {
        for (const { event, timeMs } of batch) {
          const fields = JSON.stringify(event.fields);
          insert.run(event.id, timeMs, event.kind, event.app, event.target, event.message, fields);
        }
        trim.run(nextId - 1 - eventsMax);
      });
    } catch (error) {
      pending = [...batch, ...pending].slice(-eventsMax);
      throw error;
    }
  };

  /** A disk that is full now has space later; what happens meanwhile is kept here. */
  const tryToFlush = () => {
    try {
      flush();
    } catch {
      timer = setTimeout(tryToFlush, retryDelayMs).unref();
    }
  };

  return {
    record({ kind, app, target, message, fields }) {
      const timeMs = now();
      const event: AgentEvent = {
        id: nextId++,
        time: new Date(timeMs).toISOString(),
        kind,
        app: app ?? null,
        target,
        message,
        fields: fields ?? {},
      };
      pending.push({ event, timeMs });
      timer ??= setTimeout(tryToFlush, flushDelayMs).unref();
      for (const listener of listeners) listener(event);
    },
    recorded() {
      tryToFlush();
      const written = database.prepare("SELECT * FROM agent_events ORDER BY id").all().map(toEvent);
      return [...written, ...pending.map(({ event }) => event)];
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    flush,
  };
}

function toEvent(row: Record<string, unknown>): AgentEvent {
  return {
    id: Number(row.id),
    time: new Date(Number(row.time_ms)).toISOString(),
    kind: String(row.kind),
    app: row.app === null ? null : String(row.app),
    target: String(row.target),
    message: String(row.message),
    // Written by `record` only.
    fields: JSON.parse(String(row.fields)) as Record<string, unknown>,
  };
}
