import test from "ava";
import { revisionBudget } from "../../manifests/compose/budget.ts";
import { parseDotenv } from "../../manifests/compose/dotenv.ts";
import { expandTemplate } from "../../manifests/compose/template.ts";
import { collectDiagnostics, formatDiagnostic } from "../../manifests/diagnostics.ts";

const variables = new Map([
  ["A", "a"],
  ["EMPTY", ""],
]);

function expand(text: string): string {
  let problem = "";
  const value = expandTemplate({
    text,
    lookup: (name) => variables.get(name),
    onError: (offset, message) => {
      problem = `${offset}: ${message}`;
    },
    onUnset: () => undefined,
  });
  return value ?? problem;
}

/** The tables are written with § for the dollar sign. */
const withDollars = (text: string) => text.replaceAll("§", "$");

const expansions: readonly (readonly [string, string])[] = [
  ["plain", "plain"],
  ["§A-§{A}-§§A", "a-a-$A"],
  ["§UNSET.§{UNSET}.", ".."],
  ["§{A:-x}§{EMPTY:-x}§{UNSET:-x}", "axx"],
  ["§{A-x}§{EMPTY-x}§{UNSET-x}", "ax"],
  ["§{A:+x}§{EMPTY:+x}§{UNSET:+x}", "x"],
  ["§{A+x}§{EMPTY+y}§{UNSET+z}", "xy"],
  ["§{A:?x}§{EMPTY?x}", "a"],
  ["§{UNSET:-b§{EMPTY:-c§{A}}}d", "bcad"],
  ["§{UNSET:-§§}§{UNSET:-a:b-c?d}", "$a:b-c?d"],
  ["§{A:-§{UNSET?never looked at}}", "a"],
  ["x}§A}", "x}a}"],
  ["x§{UNSET?no §A}", "1: the required variable UNSET is not set: no a: set it in .env"],
  ["§{EMPTY:?}", "0: the required variable EMPTY is empty: set it in .env"],
  ["§{A", '0: "§{A" is not a variable: one of } :- - :? ? :+ + is expected after the name'],
  ["§{A:-b", "5: the brace of a variable is not closed"],
  ["§{A:-§{}", '5: "§{}" names no variable: write $$ for a literal dollar sign'],
  ["50§", "50$"],
  ["^a§|§.b§}-§1", "^a$|$.b$}-$1"],
  ["§{UNSET:-§}§{UNSET:-5 §}", "$5 $"],
  ["§§§A-§§§", "$a-$$"],
  ["§{", '0: "§{" names no variable: write $$ for a literal dollar sign'],
  ["§{ A}", '0: "§{ A}" names no variable: write $$ for a literal dollar sign'],
  ["§{A }", '0: "§{A }" is not a variable: one of } :- - :? ? :+ + is expected after the name'],
];

for (const [text, expected] of expansions) {
  test(`expands ${text}`, (t) => {
    t.is(expand(withDollars(text)), withDollars(expected));
  });
}

test("variables nested without end are refused", (t) => {
  t.regex(expand(withDollars("§{A:-").repeat(100_000)), /nested more than 32 levels deep$/);
});

function dotenv(text: string): unknown {
  const { report, finish } = collectDiagnostics();
  const bytes = new TextEncoder().encode(text);
  const values = parseDotenv({ file: ".env", bytes, budget: revisionBudget(), report });
  const { errors } = finish();
  return errors.length > 0 ? errors.map(formatDiagnostic) : Object.fromEntries(values);
}

const envFiles: readonly (readonly [string, unknown])[] = [
  ["", {}],
  ["\uFEFFA=1\r\nB = 2 \n\n# C=3\n  D:4", { A: "1", B: "2", D: "4" }],
  ["export A=1\nexport=2", { A: "1", export: "2" }],
  ["A=x # note\nB=x#y\nC='x # y' # note\nD=", { A: "x", B: "x#y", C: "x # y", D: "" }],
  ["A='$B \\n it\\'s'", { A: "$B \\n it's" }],
  ['A="1\\n2\\t\\"q\\" \\$B \\\\ \\0101"', { A: '1\n2\t"q" $B \\ A' }],
  ["A=\"two\nlines\"\nB='and\nmore'\nC=3", { A: "two\nlines", B: "and\nmore", C: "3" }],
  ["A=1\nB=§A-§{A}-§{C:-c}\nC='§A'", { A: "1", B: "1-1-c", C: "§A" }],
  ["A=1\nA=2\n__proto__=x", { A: "2", ["__proto__"]: "x" }],
  ["ONLY_NAMED\nA=1", { A: "1" }],
  [
    "A=1\n!=2\nB='x\n",
    [
      ".env:2:1: a variable's name is expected: letters, digits, _ . - [ ]",
      ".env:3:1: the value of B has no closing '",
    ],
  ],
  ["A B=1", ['.env:1:1: "=" is expected after A']],
  ['A="x" y', ['.env:1:1: nothing but a comment may follow the closing " of A']],
  ["A=§{B?no}", [".env:1:3: the required variable B is not set: no: set it in .env"]],
];

for (const [text, expected] of envFiles) {
  test(`reads the .env file ${JSON.stringify(text)}`, (t) => {
    t.deepEqual(dotenv(withDollars(text)), JSON.parse(withDollars(JSON.stringify(expected))));
  });
}
