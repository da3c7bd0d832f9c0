import type { DatabaseSync } from "node:sqlite";

/** Older ones are forgotten: the same delivery then leads to a fetch once more. */
const daysMax = 30;
const deliveriesMax = 10_000;

export const deliveryMigration = `
  CREATE TABLE agent_deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, mark TEXT NOT NULL UNIQUE, at_ms INTEGER NOT NULL) STRICT;`;

export function deliveryMethods(database: DatabaseSync) {
  const insert = database.prepare(
    "INSERT OR IGNORE INTO agent_deliveries (mark, at_ms) VALUES (?, ?)",
  );
  const forget = database.prepare(
    `DELETE FROM agent_deliveries WHERE at_ms < ?
       OR number <= (SELECT max(number) FROM agent_deliveries) - ${deliveriesMax}`,
  );
  return {
    /** True for a webhook's delivery that was not taken before, of which the mark tells. Durable. */
    takeDelivery(mark: string, nowMs: number): boolean {
      const isNew = insert.run(mark, nowMs).changes === 1;
      if (isNew) forget.run(nowMs - daysMax * 86_400_000);
      return isNew;
    },
  };
}
