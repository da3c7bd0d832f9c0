import { readFileSync } from "node:fs";
import test from "ava";
import { createProgram } from "../../cli/program.ts";

const text = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");
const everywhere = new Set(["--root", "--instance", "--json", "--help"]);

/** Verb -> the flags that stand with its call, and in its whole row. */
const documented = new Map<string, { readonly call: Set<string>; readonly row: Set<string> }>();
/** A verb may tell of its options in a section of its own. */
const sections = new Map(
  [...text.matchAll(/^### Options of (\w+)\n([^#]*)/gm)].map(([, verb = "", told = ""]) => [
    verb,
    told,
  ]),
);
for (const row of text.split("\n").filter((line) => line.startsWith("| `"))) {
  const [cell = ""] = row.slice(2).split(" | ");
  for (const [, call = ""] of cell.matchAll(/`([^`]+)`/g)) {
    const [verb = ""] = call.split(" ");
    const before = documented.get(verb);
    const calls = [...(before?.call ?? []), ...flagsIn(call)];
    documented.set(verb, {
      call: new Set(calls),
      row: new Set([...calls, ...flagsIn(row), ...flagsIn(sections.get(verb) ?? "")]),
    });
  }
}

/** `-it` is two. */
function flagsIn(words: string): string[] {
  return [...words.matchAll(/(?<=[\s[`])--?[a-zA-Z][a-z-]*[A-Z]?/g)].flatMap(([flag]) =>
    flag.startsWith("--") ? [flag] : [...flag.slice(1)].map((letter) => `-${letter}`),
  );
}

for (const command of createProgram().commands) {
  test(`docs/cli.md tells of berth ${command.name()} what its help does`, (t) => {
    const found = documented.get(command.name());
    if (found === undefined) return t.fail("it has no row");
    const options = command.options.filter(({ long }) => !everywhere.has(long ?? ""));
    const flags = options.map(({ short, long }) => [short, long].filter((flag) => flag != null));
    const untold = flags.filter((names) => !names.some((flag) => found.row.has(flag)));
    const unknown = [...found.call].filter((flag) => !flags.flat().includes(flag));
    t.deepEqual({ untold, unknown }, { untold: [], unknown: [] });
  });
}
