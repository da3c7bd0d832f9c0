import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fc, testProp } from "@fast-check/ava";
import test from "ava";
import { errorsOf } from "./compile.ts";
import { type Schema, takes } from "./json-schema.ts";
import { documentWith, sections, valuesOf } from "./schema-documents.ts";

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
  'service.annotations: ["x","x"]',
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
  'service.sysctls: ["x","x"]',
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
  for (const section of sections) {
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

/**
 * Why berth refuses what the schema takes: the list of docs/conformance.md. A key that is unknown, or a value of another
 * kind, is none of them.
 */
const reasons: readonly RegExp[] = [
  /^not supported by berth: /,
  // The schema takes any text and any number here.
  /: "(?:[^"\\]|\\.)*"?…? is not |: [-+0-9.e]+ is not /,
  /: (?:a whole number is|a number from 0 to 1 is|letters of rwm are|\["CMD", PROGRAM, …\], .* is) expected$/,
  // One of a few words, of which the schema takes any.
  /: [\w-]+(?:, [\w-]+)*(?: or [\w-]+)+ is expected$/,
  // Names of what is not there.
  /: there is no (?:service|file) |: the network "\w+" is not declared in networks| is not set$/,
  // Fields that need, or forbid, another.
  /: \w+ is missing$/,
  /: exactly one of file, environment and content is expected$/,
  /: it (?:needs|counts|contradicts|depends) |: another mount of the service is already at |: an? [\w ]+ has no \w+$/,
  /: the target (?:"[^"]*" is not an absolute path|must not be )|: a bind mount needs a source/,
];

const schema = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Schema) : undefined;

if (schema === undefined) {
  test("what the official schema takes is taken", (t) => {
    t.log(`skipped: ${path} is missing`);
    t.pass();
  });
} else {
  for (const section of sections) {
    const keys = Object.entries(schema.definitions?.[section]?.properties ?? {});
    const fields = keys.map(([key, each]) =>
      valuesOf(schema, each, key).map((value) => ({ [key]: value })),
    );
    testProp(
      `what the official schema takes of a ${section} is taken, or refused for a reason that is listed`,
      [fc.oneof(...fields)],
      async (t, own) => {
        const document = documentWith(section, own);
        fc.pre(takes(schema, document));
        const files = { "app/a.env": "A=b\n", "app/file": "services: {x: {image: x}}" };
        const text = JSON.stringify(document);
        const errors = await errorsOf({ ...files, "app/compose.yaml": text });
        const others = errors
          .map((error) => error.replace(/^\S+:\d+:\d+: /, ""))
          .filter((message) => !reasons.some((reason) => reason.test(message)));
        t.deepEqual(others, []);
      },
      { numRuns: 400 },
    );
  }
}
