import { globMatches, isGlob } from "./glob.ts";
import {
  type LabelExpression,
  type Labels,
  labelsMatch,
  parseLabelExpression,
} from "./label-expression.ts";

/** One element of `hosts`: a name, a glob of names or an expression over labels; `!` takes hosts out again. */
export type HostSelector = {
  readonly text: string;
  readonly excludes: boolean;
} & (
  | { readonly kind: "name" | "glob"; readonly name: string }
  | { readonly kind: "labels"; readonly expression: LabelExpression }
);

/** Undefined: neither of the three. */
export function parseHostSelector(text: string): HostSelector | undefined {
  const excludes = text.startsWith("!");
  const wanted = (excludes ? text.slice(1) : text).trim();
  if (/^[A-Za-z0-9*?](?:[A-Za-z0-9._*?-]{0,252})$/.test(wanted))
    return { text, excludes, kind: isGlob(wanted) ? "glob" : "name", name: wanted };
  const expression = parseLabelExpression(wanted);
  return expression === undefined ? undefined : { text, excludes, kind: "labels", expression };
}

export function selectorMatches(
  selector: HostSelector,
  host: { readonly name: string; readonly labels: Labels },
): boolean {
  if (selector.kind === "labels") return labelsMatch(selector.expression, host.labels);
  return globMatches(selector.name, host.name);
}

/** Hosts that one element takes in and none takes out; elements that only take out begin with all hosts. */
export function selectsHost(
  selectors: readonly HostSelector[],
  host: { readonly name: string; readonly labels: Labels },
): boolean {
  const takesIn = selectors.filter(({ excludes }) => !excludes);
  const takesOut = selectors.filter(({ excludes }) => excludes);
  if (takesOut.some((selector) => selectorMatches(selector, host))) return false;
  if (takesIn.length === 0) return takesOut.length > 0;
  return takesIn.some((selector) => selectorMatches(selector, host));
}
