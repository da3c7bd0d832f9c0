import type { Path } from "../yaml/node.ts";

/** Patterns as a tree of steps, so that a walk over a document follows them without looking them up. */
export type PatternTree<Value> = {
  readonly value?: Value;
  /** Where the pattern goes on with a key or an index; undefined: nowhere. */
  step(key: string | number): PatternTree<Value> | undefined;
};

/** Of rows such as `["services.*.ports", value]`: a `*` stands for one step. */
export function patternTree<Value>(
  rows: readonly (readonly [string, Value])[],
): PatternTree<Value> {
  const root = new Branch<Value>();
  for (const [pattern, value] of rows) {
    let branch = root;
    for (const step of pattern.split(".")) branch = branch.grow(step);
    branch.value = value;
  }
  return root;
}

/** The same, looked up by the path of a value. */
export function patternTable<Value>(
  rows: readonly (readonly [string, Value])[],
): (path: Path) => Value | undefined {
  const root = patternTree(rows);
  return (path) => {
    let branch: PatternTree<Value> | undefined = root;
    for (const step of path) branch = branch?.step(step);
    return branch?.value;
  };
}

class Branch<Value> implements PatternTree<Value> {
  declare value?: Value;
  readonly #named = new Map<string, Branch<Value>>();
  #any: Branch<Value> | undefined;

  step(key: string | number): Branch<Value> | undefined {
    return this.#named.get(String(key)) ?? this.#any;
  }

  grow(step: string): Branch<Value> {
    if (step === "*") {
      this.#any ??= new Branch();
      return this.#any;
    }
    const known = this.#named.get(step) ?? new Branch();
    this.#named.set(step, known);
    return known;
  }
}
