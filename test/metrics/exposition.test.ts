import { fc, testProp } from "@fast-check/ava";
import test from "ava";
import { ExpositionBuffer, labelPairs, seriesPrefix } from "../../metrics/exposition.ts";
import { parseExposition } from "./parse-exposition.ts";

function written(value: number, decimals: number, labels = ""): string {
  const out = new ExpositionBuffer();
  out.header("m", "gauge", "Help.");
  out.sample(seriesPrefix("m", labels), value, decimals);
  return Buffer.from(out.written()).toString();
}

const lastWord = (text: string): string => text.trim().split(" ").at(-1) ?? "";

testProp(
  "whole numbers are written exactly",
  [fc.maxSafeInteger()],
  (t, value) => t.is(lastWord(written(value, 0)), `${value === 0 ? 0 : value}`),
  { numRuns: 2000 },
);

testProp(
  "numbers of a millionth are written exactly, without trailing zeros",
  [fc.maxSafeInteger()],
  (t, value) => {
    const text = lastWord(written(value, 6));
    t.notRegex(text, /\.\d*0$|\.$/);
    const [whole = "", fraction = ""] = text.replace("-", "").split(".");
    t.is(BigInt(whole + fraction.padEnd(6, "0")), BigInt(Math.abs(value)));
    t.is(text.startsWith("-"), value < 0);
  },
  { numRuns: 2000 },
);

test("numbers beyond exact arithmetic are written as floats", (t) => {
  t.is(Number(lastWord(written(2 ** 63, 0))), 2 ** 63);
  t.is(Number(lastWord(written(2 ** 60, 6))), 2 ** 60 / 1e6);
});

testProp(
  "any label value comes back from a parser as it was",
  [fc.string({ unit: "binary" })],
  (t, value) => {
    const families = parseExposition(written(1, 0, labelPairs({ label: value })));
    t.is(families.get("m")?.samples[0]?.labels.label, value);
  },
);

test("label names are made valid, and the first of two that become equal stays", (t) => {
  const pairs = labelPairs({ "com.docker/x-y": "1", com_docker_x_y: "2", "9lives": "3" });
  t.is(pairs, 'com_docker_x_y="1",_9lives="3"');
});

test("what was truncated is not in the text", (t) => {
  const out = new ExpositionBuffer();
  out.header("a", "counter", "A.");
  const length = out.length;
  out.header("b", "counter", "B.");
  out.truncate(length);
  t.is(Buffer.from(out.written()).toString(), "# HELP a A.\n# TYPE a counter\n");
});
