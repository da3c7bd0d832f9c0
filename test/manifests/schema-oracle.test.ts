import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { errorsOf } from "./compile.ts";
import { type Schema, takes } from "./json-schema.ts";

const path = join(import.meta.dirname, "../../../shared/compose/compose-spec.json");

/** One of each kind, and what short and long forms look like. */
const values: readonly unknown[] = [
  null,
  true,
  7,
  1.5,
  "",
  "x",
  "10s",
  [],
  ["x"],
  ["x", "x"],
  [7],
  [null],
  [{}],
  [["x"]],
  {},
  { x: null },
  { x: "y" },
  { x: 7 },
  { x: true },
  { x: ["y"] },
  { x: {} },
  { x: { condition: "service_started" } },
  { "x-a": {} },
  { target: 80, published: "81" },
  [{ target: 80, nope: 1 }],
  [{ type: "tmpfs", target: "/x", nope: 1 }],
  [{ path: "a" }],
  { driver: 7 },
  { replicas: [] },
  { resources: { limits: { cpus: true } } },
  { resources: { limits: { nope: 1 } } },
  { update_config: { order: "x" } },
  { test: 7 },
  { retries: true },
  { interval: 7 },
  { disable: [] },
];

/**
 * Where the schema is stricter than berth: Compose's loader itself drops doubles before it asks the schema, and the
 * rest can mean one thing only. Listed in docs/conformance.md.
 */
const lenient: readonly string[] = [
  'network.labels: ["x","x"]',
  'service.blkio_config: {"x-a":{}}',
  'service.dns: ["x","x"]',
  'service.dns_opt: ["x","x"]',
  'service.dns_search: ["x","x"]',
  'service.environment: ["x","x"]',
  'service.group_add: ["x","x"]',
  'service.labels: ["x","x"]',
  "service.logging: null",
  "service.networks: null",
  'service.profiles: ["x","x"]',
  'volume.labels: ["x","x"]',
];

test("what the official schema refuses is refused, key by key", async (t) => {
  if (!existsSync(path)) {
    t.log(`skipped: ${path} is missing`);
    t.pass();
    return;
  }
  const schema = JSON.parse(readFileSync(path, "utf8")) as Schema;
  const found: string[] = [];
  let refused = 0;
  for (const section of ["service", "network", "volume", "config", "secret"] as const) {
    for (const key of Object.keys(schema.definitions?.[section]?.properties ?? {})) {
      for (const value of values) {
        const own = { [key]: value };
        const document =
          section === "service"
            ? { services: { a: { image: "x", ...own } } }
            : { services: { a: { image: "x" } }, [`${section}s`]: { x: own } };
        if (takes(schema, document)) continue;
        refused += 1;
        const errors = await errorsOf({ "app/compose.yaml": JSON.stringify(document) });
        if (errors.length === 0) found.push(`${section}.${key}: ${JSON.stringify(value)}`);
      }
    }
  }
  t.true(refused > 1_000, `${refused} documents`);
  t.deepEqual(found.toSorted(), lenient);
});
