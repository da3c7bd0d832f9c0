import test from "ava";
import * as fc from "fast-check";
import { formatDiagnostic } from "../../manifests/diagnostics.ts";
import { compile } from "./compile.ts";

const words = fc.constantFrom(
  ..."services web image nginx ports 80:80 8080-8082:80 volumes data:/x ./a:/b environment A=1 command".split(
    " ",
  ),
  ..."healthcheck test interval 10s deploy resources limits memory 64m depends_on condition web $A".split(
    " ",
  ),
  ..."restart on-failure:3 __proto__ constructor networks default aliases x-a tmpfs /run:size=1 scale".split(
    " ",
  ),
);

const scalar = fc.oneof(
  words,
  fc.string({ maxLength: 12 }),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
);

/** JSON is YAML: any tree of likely words. */
const tree = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    scalar,
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(fc.oneof(words, fc.string({ maxLength: 5 })), tie("node"), { maxKeys: 5 }),
  ),
})).node;

const punctuation = fc.string({
  unit: fc.constantFrom(..."\n\n  ::--[]{}&*a!?|>'\"#%@`$,x1~<".split(""), "<<: ", "\t", "--- "),
  maxLength: 80,
});

/** Compiling must end in a result whose positions are positions. */
async function holds(files: Record<string, string | Uint8Array>): Promise<boolean> {
  const result = await compile(files);
  if (result.ok) return true;
  return (
    result.errors.length > 0 &&
    result.errors.every(({ line, column, message }) => line >= 1 && column >= 1 && message !== "")
  );
}

async function check(
  t: { log(text: string): void; pass(): void },
  property: unknown,
): Promise<void> {
  await fc.assert(property as fc.IAsyncProperty<unknown>, { numRuns: 500 });
  t.pass();
}

test("random bytes never crash the compiler", (t) =>
  check(
    t,
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), (bytes) =>
      holds({ "a/compose.yaml": bytes, "a/.env": bytes }),
    ),
  ));

test("random YAML punctuation never crashes the compiler", (t) =>
  check(
    t,
    fc.asyncProperty(punctuation, (text) => holds({ "a/compose.yaml": text, "a/.env": text })),
  ));

test("random trees of Compose words never crash the compiler", (t) =>
  check(
    t,
    fc.asyncProperty(tree, tree, (services, web) =>
      holds({
        "a/compose.yaml": JSON.stringify({ services }),
        "b/compose.yaml": JSON.stringify({ services: { web } }),
      }),
    ),
  ));

test("the order of keys and services does not change the result", async (t) => {
  const lines = [
    "  a: {image: x, labels: {b: 1, a: 2}, ports: ['1:1']}",
    "  b: {ports: ['2:2'], image: y, depends_on: [a]}",
    "  c: {image: z}",
  ];
  const forward = await compile({ "p/compose.yaml": ["services:", ...lines].join("\n") });
  const backward = await compile({
    "p/compose.yaml": ["services:", ...lines.toReversed()].join("\n"),
  });
  t.deepEqual(forward, backward);
});

test("files that include each other again and again end in an error, soon", async (t) => {
  const files: Record<string, string> = { "app/compose.yaml": "include: [0.yaml]\nservices: {}\n" };
  for (let depth = 0; depth < 12; depth += 1) {
    const next = Array.from({ length: 10 }, () => `${depth + 1}.yaml`).join(", ");
    files[`app/${depth}.yaml`] = `include: [${next}]\n`;
  }
  files["app/12.yaml"] = "services: {}\n";
  const { ok, errors } = await compileWith(files);
  t.false(ok);
  t.true(
    errors.some((error) => /more than 500 inclusions/.test(error)),
    errors.join("\n"),
  );
});

test("variables that make gigabytes of a small file end in an error", async (t) => {
  const long = "x".repeat(400_000);
  const lines = Array.from({ length: 200 }, (_, index) => `V${index}=${index}$B`);
  const { ok, errors } = await compileWith({
    "app/compose.yaml": "services: { web: { image: x, env_file: vars.env } }\n",
    "app/vars.env": [`A=${long}`, "B=$A$A", ...lines].join("\n"),
  });
  t.false(ok);
  t.true(
    errors.some((error) => /variables make more than/.test(error)),
    errors.join("\n"),
  );
});

test("ports that a small file has by the million end in an error", async (t) => {
  const wide = (count: number) =>
    Array.from(
      { length: count },
      (_, index) => `  s${index}: {image: x, ports: ["127.0.0.${index}:1-4096:1-4096"]}`,
    ).join("\n");
  t.true((await compileWith({ "app/compose.yaml": `services:\n${wide(16)}` })).ok);
  const { errors } = await compileWith({ "app/compose.yaml": `services:\n${wide(255)}` });
  t.deepEqual(errors, [
    "app/compose.yaml:18:27: ranges of ports stand for more than 65536 ports in all: use shorter ones",
  ]);
});

test("a long row of services that extend one another is not called a circle", async (t) => {
  const lines = Array.from({ length: 33 }, (_, index) => `  s${index + 1}: {extends: s${index}}`);
  const { errors } = await compileWith({
    "app/compose.yaml": `services:\n  s0: {image: x}\n${lines.join("\n")}`,
  });
  t.true(
    errors.includes(
      "app/compose.yaml:3:8: services.s1.extends: more than 32 services extend one another in a row",
    ),
    errors.join("\n"),
  );
  t.false(errors.some((error) => error.includes("circle")));
});

async function compileWith(files: Readonly<Record<string, string>>) {
  const result = await compile(files);
  return { ok: result.ok, errors: result.ok ? [] : result.errors.map(formatDiagnostic) };
}
