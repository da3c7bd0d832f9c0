import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { openDatabase } from "../../agent/store/open-database.ts";
import { createStateStore, stateMigrations } from "../../agent/store/state-store.ts";

const day = 86_400_000;

test("deliveries are forgotten by age and by number, and no sooner", (t) => {
  const root = mkdtempSync(join(tmpdir(), "bt-deliveries-"));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const path = join(root, "state.db");
  const database = openDatabase({ path, synchronous: "OFF", migrations: stateMigrations });
  t.teardown(() => database.close());
  const state = createStateStore(database);
  t.true(state.takeDelivery("a", 0));
  t.true(state.takeDelivery("b", 29 * day));
  t.false(state.takeDelivery("a", 29 * day));
  t.true(state.takeDelivery("c", 31 * day));
  t.false(state.takeDelivery("b", 31 * day));
  t.true(state.takeDelivery("a", 31 * day));
  for (let number = 0; number < 10_000; number += 1) state.takeDelivery(`n${number}`, 31 * day);
  t.false(state.takeDelivery("n0", 31 * day));
  t.true(state.takeDelivery("c", 31 * day));
});
