import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import * as protocol from "../runtime/protocol.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const skipped = new Set(["node_modules", "build", ".git"]);
const files = listFiles(".");
const sources = files.filter((file) => file.endsWith(".ts"));
const nativeSources = files.filter((file) => /^runtime\/native\/.*\.[ch]$/.test(file));

/** Folder -> what it may import. `agent` joins the leaves; `cli` sees only what needs no running agent. */
const importTable: Readonly<Record<string, readonly string[]>> = {
  manifests: ["manifests"],
  runtime: ["runtime"],
  metrics: ["metrics"],
  agent: ["agent", "manifests", "runtime", "metrics"],
  cli: ["cli", "manifests", "agent"],
};

/** The version is the package's. `doctor` asks the host itself, without an agent; `cli/oci` is the command line of `runtime/oci`. */
const importExceptions = new Set([
  "agent -> package.json",
  "cli -> runtime/doctor.ts",
  "cli -> runtime/helper/helper-path.ts",
  "cli -> runtime/host-features.ts",
  "cli -> runtime/container-spec.ts",
  "cli -> runtime/runtime.ts",
]);

test("every folder imports only what the table allows", (t) => {
  const wrong = sources.flatMap((file) => {
    const folder = file.split("/")[0] ?? "";
    const allowed = importTable[folder];
    if (allowed === undefined) return [];
    return importsOf(file)
      .filter((target) => !allowed.includes(target.split("/")[0] ?? ""))
      .filter((target) => !importExceptions.has(`${folder} -> ${target}`))
      .filter((target) => !(file.startsWith("cli/oci/") && target.startsWith("runtime/oci/")))
      .map((target) => `${file} imports ${target}`);
  });
  t.deepEqual(wrong, []);
});

test("nobody imports tests, benches or examples", (t) => {
  const outside = new Set(["test", "bench", "examples"]);
  const wrong = sources
    .filter((file) => !outside.has(file.split("/")[0] ?? ""))
    .flatMap((file) => importsOf(file).map((target) => ({ file, target })))
    .filter(({ target }) => outside.has(target.split("/")[0] ?? ""));
  t.deepEqual(wrong, []);
});

test("imports form no cycle", (t) => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      cycles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
      return;
    }
    if (done.has(file)) return;
    // A test may hold the text of a program that lies elsewhere.
    const targets = valueImportsOf(file).filter((target) => sources.includes(target));
    for (const target of targets) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of sources) visit(file, []);
  t.deepEqual(cycles, []);
});

test("no drawer collects what has no name", (t) => {
  const drawers = files.filter((file) =>
    /(^|\/)(util|utils|lib|common|helpers|misc|shared)(\/|\.ts$|\.c$)/.test(file),
  );
  t.deepEqual(drawers, []);
});

test("files keep to their length", (t) => {
  const limits: readonly (readonly [RegExp, number])[] = [
    [/^test\/.*\.(ts|c)$/, 800],
    [/\.ts$/, 300],
    [/\.[ch]$/, 500],
  ];
  const long = files.flatMap((file) => {
    const limit = limits.find(([pattern]) => pattern.test(file))?.[1];
    const lines =
      limit === undefined ? 0 : readFileSync(join(root, file), "utf8").split("\n").length;
    return limit !== undefined && lines > limit + 1
      ? [`${file}: ${lines} lines, ${limit} at most`]
      : [];
  });
  t.deepEqual(long, []);
});

test("functions of the helper fit a screen", (t) => {
  const long = nativeSources.flatMap((file) => {
    const lines = readFileSync(join(root, file), "utf8").split("\n");
    return lines.flatMap((line, index) => {
      if (!/^[a-z].*\) \{$/.test(line)) return [];
      const length = lines.slice(index).indexOf("}") + 1;
      return length > 70 ? [`${file}:${index + 1}: ${length} lines`] : [];
    });
  });
  t.deepEqual(long, []);
});

test("protocol.ts and protocol.h agree in every constant", (t) => {
  const header = readFileSync(join(root, "runtime/native/protocol.h"), "utf8");
  const native = new Map(
    [...header.matchAll(/#define BERTH_(\w+) (0x[0-9a-f]+|\d+)u?/g)].map(
      ([, name = "", value = ""]) => [name, Number(value)] as const,
    ),
  );
  const groups: Readonly<Record<string, Readonly<Record<string, number>>>> = {
    MSG: protocol.message,
    OP: protocol.op,
    OPF: protocol.opFlag,
    START: protocol.startFlag,
    EXEC: protocol.execFlag,
    ATTACH: protocol.attachFlag,
    ENCODING: protocol.encoding,
    TAKEN: protocol.taken,
    PRINT: protocol.print,
    COPY: protocol.copyFlag,
    FS: protocol.fsParameter,
    PACK: protocol.packFlag,
    STAGE: protocol.stage,
  };
  const typescript = new Map<string, number>([
    ["PROTOCOL_VERSION", protocol.PROTOCOL_VERSION],
    ["PROTOCOL_VERSION_OLDEST", protocol.PROTOCOL_VERSION_OLDEST],
    ["HEADER_BYTES", protocol.HEADER_BYTES],
    ["MESSAGE_BYTES_MAX", protocol.MESSAGE_BYTES_MAX],
    ["SLOTS", protocol.SLOTS],
    ["SLOT_NONE", protocol.SLOT_NONE],
  ]);
  for (const [group, constants] of Object.entries(groups)) {
    for (const [name, value] of Object.entries(constants)) {
      typescript.set(`${group}_${name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`, value);
    }
  }
  t.true(native.size > 80);
  t.deepEqual([...typescript].toSorted(), [...native].toSorted());
});

function listFiles(dir: string): string[] {
  return readdirSync(join(root, dir), { withFileTypes: true }).flatMap((entry) => {
    const path = normalize(join(dir, entry.name));
    if (skipped.has(entry.name)) return [];
    if (entry.isDirectory()) return listFiles(path);
    return entry.isFile() ? [path] : [];
  });
}

function importsOf(file: string): string[] {
  return specifiersOf(file, /(?:from|import)\s*\(?\s*"(\.[^"]+)"/g);
}

/** Type imports are erased: they cannot make a cycle at run time. */
function valueImportsOf(file: string): string[] {
  return specifiersOf(file, /^(?:import|export) (?!type)[^;]*?from "(\.[^"]+)"/gm);
}

function specifiersOf(file: string, pattern: RegExp): string[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(pattern)].map(([, specifier = ""]) =>
    normalize(join(dirname(file), specifier)),
  );
}
