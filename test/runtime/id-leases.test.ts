import { DatabaseSync } from "node:sqlite";
import test from "ava";
import { IdLeases, idsPerContainer } from "../../runtime/containers/id-leases.ts";

test("ranges never overlap, stay the same until released, and come back", (t) => {
  const db = new DatabaseSync(":memory:");
  const leases = new IdLeases(db, "one");
  const bases = Array.from({ length: 50 }, (_, index) => leases.lease(`c${index}`));
  t.is(new Set(bases).size, 50);
  for (const base of bases) {
    t.is(base % idsPerContainer, 0);
    t.true(base >= 524_288 && base + idsPerContainer - 1 <= 1_879_048_191);
  }
  t.is(leases.lease("c7"), bases[7] ?? 0);
  t.is(new IdLeases(db, "one").lease("c7"), bases[7] ?? 0);
  leases.release("c0");
  t.is(leases.lease("new"), bases[0] ?? 0);
});

test("two instances begin at different places of the range", (t) => {
  const [one, two] = ["one", "two"].map((seed) =>
    new IdLeases(new DatabaseSync(":memory:"), seed).lease("c"),
  );
  t.not(one, two);
});
