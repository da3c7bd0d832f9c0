import { fc, testProp } from "@fast-check/ava";
import test from "ava";
import { canonicalJson, hasSameContent } from "../../manifests/canonical-json.ts";

const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(null, true, false, 0, 1, "", "a", "1"),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "c"), fc.oneof(tie("value"), fc.constant(undefined)), {
      maxKeys: 3,
    }),
  ),
}));

testProp(
  "two values have the same content when their canonical texts are the same",
  [value, value],
  (t, one, other) => {
    t.is(hasSameContent(one, other), canonicalJson(one) === canonicalJson(other));
  },
  { numRuns: 3000 },
);

testProp("a copy has the same content, whatever the order of its keys", [value], (t, one) => {
  t.true(hasSameContent(one, reversed(one)));
});

test("a field that is undefined is one that is absent", (t) => {
  t.true(hasSameContent({ a: 1, b: undefined }, { a: 1 }));
  t.true(hasSameContent({ a: 1 }, { b: undefined, a: 1 }));
  t.false(hasSameContent({ a: undefined }, { a: null }));
  t.false(hasSameContent([], {}));
});

function reversed(given: unknown): unknown {
  if (Array.isArray(given)) return given.map(reversed);
  if (typeof given !== "object" || given === null) return given;
  const entries = Object.entries(given).map(([key, field]) => [key, reversed(field)] as const);
  return Object.fromEntries(entries.toReversed());
}
