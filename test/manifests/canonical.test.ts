import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fc, testProp } from "@fast-check/ava";
import test from "ava";
import { canonicalJson } from "../../manifests/canonical-json.ts";
import { compileRevision } from "../../manifests/compile-revision.ts";
import { formatDiagnostic } from "../../manifests/diagnostics.ts";
import { revision } from "./compile.ts";
import { readTree } from "./read-tree.ts";

type Files = Readonly<Record<string, string>>;

/** The app of the files as Compose prints it, and as the host runs it. */
async function compiled(files: Files, projectDirectory = "/repo/app") {
  const models: unknown[] = [];
  const result = await compileRevision({
    revision,
    reader: readTree(files),
    host: "h",
    path: ".",
    abort: new AbortController().signal,
    onLoaded: (app) => models.push(app.canonical(projectDirectory)),
  });
  if (!result.ok) throw new Error(result.errors.map(formatDiagnostic).join("\n"));
  return { model: models[0], app: result.desired.apps[0] };
}

/**
 * Documents and what compose-go's loader, v2.16.2, prints for them without what no service uses. But for a limit of 0,
 * which it prints as {}.
 */
const data = join(import.meta.dirname, "canonical");

for (const name of ["shop", "layers", "merging", "spelling", "borrowing"]) {
  test(`${name} is printed field for field as the reference implementation does`, async (t) => {
    const files: Record<string, string> = {};
    for (const entry of readdirSync(join(data, name), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      files[path.slice(data.length + 1)] = readFileSync(path, "utf8");
    }
    const { model } = await compiled(files, `/repo/${name}`);
    t.deepEqual(
      JSON.parse(JSON.stringify(model)),
      JSON.parse(readFileSync(join(data, `${name}.json`), "utf8")),
    );
  });
}

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/);
const value = fc.stringMatching(/^[a-zA-Z0-9 ./:=$'"#-]{0,12}$/);
const pairs = fc.dictionary(word, value, { maxKeys: 4 });

/** Without zeros: Compose prints neither `false` nor an empty list, so they cannot be read again. */
const service = fc.record(
  {
    command: fc.array(value, { maxLength: 3 }),
    environment: pairs,
    labels: pairs,
    tty: fc.constant(true),
    mem_limit: fc.integer({ min: 1, max: 1_000_000 }),
    stop_grace_period: fc.nat({ max: 10_000_000 }).map((ms) => `${ms}ms`),
    dns: fc.uniqueArray(fc.ipV4(), { minLength: 1, maxLength: 3 }),
    cap_add: fc.uniqueArray(fc.constantFrom("CHOWN", "KILL", "NET_ADMIN"), { minLength: 1 }),
    ports: fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }), { maxLength: 3 }),
    targets: fc.uniqueArray(word, { maxLength: 3 }),
  },
  { requiredKeys: [] },
);
type Wish = typeof service extends fc.Arbitrary<infer Value> ? Value : never;

/** `$` is Compose's own. */
function escaped(fields: unknown): unknown {
  return JSON.parse(JSON.stringify(fields).replaceAll("$", "$$$$"));
}

function long({ ports = [], targets = [], ...rest }: Wish) {
  return {
    image: "x",
    ...rest,
    ports: ports.map((port) => ({ target: port, published: String(port), protocol: "tcp" })),
    volumes: targets.map((name) => ({ type: "volume", source: "v", target: `/${name}` })),
  };
}

/** The same, in short forms and with its keys the other way round. */
function short({ ports = [], targets = [], environment, labels, ...rest }: Wish) {
  const list = (fields: Record<string, string>) =>
    Object.entries(fields).map(([key, each]) => `${key}=${each}`);
  const fields = {
    image: "x",
    ...rest,
    ...(environment === undefined ? {} : { environment: list(environment) }),
    ...(labels === undefined ? {} : { labels: list(labels) }),
    ports: ports.map((port) => `${port}:${port}`),
    volumes: targets.map((name) => `v:/${name}`),
  };
  return Object.fromEntries(Object.entries(fields).toReversed());
}

const file = (a: unknown) => JSON.stringify({ services: { a: escaped(a) }, volumes: { v: null } });

const runs = { numRuns: 40 };

testProp(
  "what is printed, read again, prints the same and runs the same",
  [service],
  async (t, wish) => {
    const first = await compiled({ "app/compose.yaml": file(long(wish)) });
    const second = await compiled({ "app/compose.yaml": JSON.stringify(first.model) });
    t.deepEqual(second.model, first.model);
    t.deepEqual(second.app, first.app);
  },
  runs,
);

testProp(
  "an app is the same in short and long forms, with any order of keys, with comments and with anchors",
  [service],
  async (t, wish) => {
    const digest = async (yaml: string) =>
      canonicalJson((await compiled({ "app/compose.yaml": yaml })).app);
    const expected = await digest(file(long(wish)));
    t.is(await digest(file(short(wish))), expected);
    const anchored = `x-a: &a\n  ${JSON.stringify(escaped(short(wish)))}\n# a comment\nservices: {a: *a}\nvolumes: {v: }`;
    t.is(await digest(anchored), expected);
    t.is(await digest(anchored.replace("*a}", "{<<: *a}}")), expected);
  },
  runs,
);

testProp(
  "layers of mappings and unique lists are merged the same, whichever two are merged first",
  [service, service, service],
  async (t, a, b, c) => {
    const layer = (wish: Wish) => file({ ...short(wish), command: undefined });
    const all = await compiled({
      "app/compose.yaml": [layer(a), layer(b), layer(c)].join("\n---\n"),
    });
    const last = await compiled({ "app/compose.yaml": [layer(b), layer(c)].join("\n---\n") });
    const again = await compiled({
      "app/compose.yaml": [layer(a), JSON.stringify(last.model)].join("\n---\n"),
    });
    t.deepEqual(again.model, all.model);
  },
  runs,
);
