import test from "ava";
import { canonicalJson } from "../../manifests/canonical-json.ts";
import { collectDiagnostics, formatDiagnostic } from "../../manifests/diagnostics.ts";
import { nearestName } from "../../manifests/nearest-name.ts";
import { parseYaml } from "../../manifests/yaml/parse-yaml.ts";
import { resolvePlainScalar } from "../../manifests/yaml/scalar.ts";

function problemOf(text: string | Uint8Array): string {
  const { report, finish } = collectDiagnostics();
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  parseYaml({ file: "f", bytes, report });
  return finish().errors.map(formatDiagnostic)[0] ?? "";
}

const scalars: readonly (readonly [string, unknown, string])[] = [
  ["", null, ""],
  ["~", null, ""],
  ["NULL", null, ""],
  ["nUll", "nUll", "nUll"],
  ["true", true, "true"],
  ["FALSE", false, "false"],
  ["yes", "yes", "yes"],
  ["0", 0, "0"],
  ["-0", 0, "-0"],
  ["+12", 12, "12"],
  ["1_000", 1000, "1000"],
  ["0755", 493, "493"],
  ["08", 8, "8"],
  ["0o17", 15, "15"],
  ["0b11", 3, "3"],
  ["0xfF", 255, "255"],
  ["0x", "0x", "0x"],
  ["18446744073709551616", 2 ** 64, "18446744073709551616"],
  ["1.50", 1.5, "1.5"],
  [".5", 0.5, "0.5"],
  ["1e3", 1000, "1000"],
  ["1e-5", 1e-5, "1e-05"],
  ["1e999", "1e999", "1e999"],
  [".inf", Number.POSITIVE_INFINITY, "+Inf"],
  ["1.2.3", "1.2.3", "1.2.3"],
  ["80:80", "80:80", "80:80"],
  ["2026-01-02", "2026-01-02", "2026-01-02"],
  ["-", "-", "-"],
];

for (const [source, value, text] of scalars) {
  test(`reads the plain scalar ${JSON.stringify(source)}`, (t) => {
    t.deepEqual(resolvePlainScalar(source), { value: value as string, text });
  });
}

const nine = (alias: string) => `[${Array.from({ length: 9 }, () => alias).join(",")}]`;
const bomb = Array.from({ length: 12 }, (_, level) =>
  level === 0 ? `a0: &a0 ${nine("1")}` : `a${level}: &a${level} ${nine(`*a${level - 1}`)}`,
).join("\n");

const limits: readonly (readonly [string, string, string])[] = [
  ["brackets", "[".repeat(1_000_000), "f:1:101: nested more than 100 levels deep"],
  ["mappings", "{a: ".repeat(200_000), "f:1:398: nested more than 100 levels deep"],
  ["dashes", "- ".repeat(500_000), "f:1:200: nested more than 100 levels deep"],
  ["aliases of aliases", bomb, "f:6:18: more than 250000 values with all aliases written out"],
  ["aliases", `a: &a 1\nb: [${"*a,".repeat(20_000)}]`, "f:2:30005: more than 10000 aliases"],
  [
    "documents at the end",
    `a: b${"\n---\na: b".repeat(16)}`,
    "f:33:5: more than 16 YAML documents",
  ],
  ["documents", "---\n".repeat(100_000), "f:18:4: more than 16 YAML documents"],
  [
    "bytes",
    " ".repeat(1_048_577),
    "f:1:1: the file has 1048577 bytes: at most 1048576 are allowed",
  ],
];

for (const [what, text, expected] of limits) {
  test(`too many ${what} end in an error`, (t) => {
    t.is(problemOf(text), expected);
  });
}

test("depth is counted through aliases", (t) => {
  const deep = Array.from({ length: 50 }, (_, level) =>
    level === 0 ? "a0: &a0 [[[1]]]" : `a${level}: &a${level} [[[*a${level - 1}]]]`,
  ).join("\n");
  t.regex(problemOf(deep), /nested more than 100 levels deep$/);
});

test("an alias inside the node it names is refused", (t) => {
  t.is(problemOf("a: &a [*a]"), "f:1:8: the alias *a has no complete anchor &a before it");
});

test("bytes that are not UTF-8 are located by line", (t) => {
  t.is(problemOf(new Uint8Array([0x61, 0x0a, 0xff])), "f:2:1: this line is not UTF-8 text");
});

test("a NUL character is refused wherever it stands", (t) => {
  t.is(problemOf('a: "\\0"'), "f:1:4: holds a NUL character, which no value may have");
});

test("explicit core tags are followed, and must fit", (t) => {
  t.is(problemOf("a: [!!str 1, !!int 1, !!map {}, !!seq [], !!null ~, !!bool true]"), "");
  t.is(problemOf("a: !!int x"), "f:1:10: the value does not fit its tag tag:yaml.org,2002:int");
  t.regex(problemOf("a: !!binary aGk="), /the tag tag:yaml.org,2002:binary is unknown/);
});

test("canonical JSON does not depend on the order of keys and leaves undefined out", (t) => {
  const value = { b: [1, { d: null, c: "x" }], a: undefined, __proto: true };
  t.is(canonicalJson(value), '{"__proto":true,"b":[1,{"c":"x","d":null}]}');
  t.is(canonicalJson(JSON.parse('{"__proto__":1,"a":2}')), '{"__proto__":1,"a":2}');
  t.throws(() => canonicalJson(Number.NaN), { instanceOf: TypeError });
  t.throws(() => canonicalJson(() => 1), { instanceOf: TypeError });
});

test("the nearest name is found across swaps, cases and hyphens, and none when all are far", (t) => {
  const known = ["ports", "volumes", "depends_on", "mem_limit"];
  t.is(nearestName("port", known), "ports");
  t.is(nearestName("prots", known), "ports");
  t.is(nearestName("dependsOn", known), "depends_on");
  t.is(nearestName("mem-limit", known), "mem_limit");
  t.is(nearestName("secrets", known), undefined);
  t.is(nearestName("x".repeat(100_000), known), undefined);
});
