import { randomInt } from "node:crypto";
import test from "ava";
import { simulate } from "./simulate.ts";

/** BERTH_SIMULATE_SEED=7 looks again at one life; BERTH_SIMULATE_SEEDS=20000 at more of them. */
const one = process.env.BERTH_SIMULATE_SEED;
const count = one === undefined ? Number(process.env.BERTH_SIMULATE_SEEDS ?? 300) : 1;
const isLong = process.env.BERTH_SIMULATE_SEEDS !== undefined;
const first = one === undefined ? (isLong ? randomInt(2 ** 31 - count) : 1) : Number(one);

test("whatever goes wrong on the way, a host comes to rest, and keeps to its promises meanwhile", async (t) => {
  t.timeout(3 * 3_600_000);
  t.log(`seeds ${first} to ${first + count - 1}`);
  for (let seed = first; seed < first + count; seed += 1) await simulate(seed);
  t.pass();
});
