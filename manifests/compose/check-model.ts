import type { z } from "zod";
import type { Report } from "../diagnostics.ts";
import { describeNode, formatPath, locate, type Node, nodeAt, type Path } from "../yaml/node.ts";

/**
 * Checks plain values by a schema and reports every issue where the value stands in the file:
 * `path` is where `values` came from below `root`. Fields that are wrong are left out of the
 * model, so that the others can be checked further; undefined when nothing can be made of the
 * rest.
 */
export function checkModel<Model>({
  schema,
  values,
  root,
  path,
  report,
}: {
  readonly schema: z.ZodType<Model>;
  readonly values: unknown;
  readonly root: Node;
  readonly path: Path;
  readonly report: Report;
}): Model | undefined {
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const wrong = new WrongFields();
  for (const issue of result.error.issues) {
    const issuePath = [...path, ...issue.path.map(pathStep)];
    const node = nodeAt(root, issuePath);
    if (node?.kind !== "scalar" || node.broken !== true)
      report.error(locate(root, issuePath), message(issue, issuePath, node));
    wrong.add(issue.path);
  }
  if (typeof values !== "object" || values === null) return undefined;
  const mended = schema.safeParse(wrong.withoutWrongElements(values));
  if (mended.success) {
    wrong.rememberPlaces(values, mended.data);
    return mended.data;
  }
  const again = schema.safeParse(wrong.withoutFields(values));
  return again.success ? again.data : undefined;
}

/** Where an element of a checked list stands in the file: wrong ones before it were left out. */
export function placeInList(list: readonly unknown[], index: number): number {
  return places.get(list)?.[index] ?? index;
}

const places = new WeakMap<object, readonly number[]>();

/** What of a mapping is wrong: whole fields, or single elements of those that are lists. */
class WrongFields {
  /** Field -> wrong elements; undefined: the field as a whole. */
  readonly #fields = new Map<string, Set<number> | undefined>();

  add([field, element]: readonly PropertyKey[]): void {
    const key = String(field);
    const elements = this.#fields.has(key) ? this.#fields.get(key) : new Set<number>();
    if (typeof element !== "number") this.#fields.set(key, undefined);
    else this.#fields.set(key, elements?.add(element));
  }

  withoutFields(values: object): object {
    return Object.fromEntries(Object.entries(values).filter(([key]) => !this.#fields.has(key)));
  }

  withoutWrongElements(values: object): object {
    const lists = Object.entries(values).flatMap(([key, value]): [string, unknown][] => {
      const kept = this.#keptPlaces(key, value);
      return Array.isArray(value) && kept !== undefined
        ? [[key, kept.map((place): unknown => value[place])]]
        : [];
    });
    return { ...this.withoutFields(values), ...Object.fromEntries(lists) };
  }

  rememberPlaces(values: object, model: unknown): void {
    if (typeof model !== "object" || model === null) return;
    const checked = new Map<string, unknown>(Object.entries(model));
    for (const [key, value] of Object.entries(values)) {
      const kept = this.#keptPlaces(key, value);
      const list = checked.get(key);
      if (kept !== undefined && Array.isArray(list)) places.set(list, kept);
    }
  }

  #keptPlaces(key: string, value: unknown): readonly number[] | undefined {
    const wrong = this.#fields.get(key);
    if (wrong === undefined || !Array.isArray(value)) return undefined;
    return [...value.keys()].filter((place) => !wrong.has(place));
  }
}

function pathStep(step: PropertyKey): string | number {
  return typeof step === "number" ? step : String(step);
}

function message(issue: z.core.$ZodIssue, path: Path, node: Node | undefined): string {
  const place = formatPath(path);
  if (node === undefined)
    return `${formatPath(path.slice(0, -1))}: ${String(path.at(-1))} is missing`;
  if (issue.code === "invalid_type") {
    if (issue.expected === "number" && node.kind === "scalar" && typeof node.value === "number")
      return `${place}: ${node.text} is not a finite number`;
    const expected = expectedWords.get(issue.expected) ?? `a ${issue.expected}`;
    const quotes =
      issue.expected === "string" && node.kind === "scalar" && node.value !== null
        ? ": write it in quotes"
        : "";
    return `${place}: ${expected} is expected, not ${describeNode(node)}${quotes}`;
  }
  const unsupported = issue.code === "custom" && issue.params?.unsupported === true;
  return `${unsupported ? "not supported by berth: " : ""}${place}: ${issue.message}`;
}

const expectedWords = new Map([
  ["array", "a list"],
  ["object", "a mapping"],
  ["record", "a mapping"],
]);
