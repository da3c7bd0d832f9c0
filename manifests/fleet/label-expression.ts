import { globMatches } from "./glob.ts";

export type Labels = ReadonlyMap<string, string>;

/** Terms that must all hold: `role=web,site in (ams, fra),gpu!=*`. */
export type LabelExpression = readonly LabelTerm[];

type LabelTerm = {
  readonly key: string;
  /** Globs, one of which has to match; none of which may when `negated`. */
  readonly values: readonly string[];
  readonly negated: boolean;
};

/**
 * Reads `KEY=GLOB`, `KEY==GLOB`, `KEY!=GLOB`, `KEY in (GLOB, …)`, `KEY notin (GLOB, …)`, joined by commas. Undefined:
 * the text does not follow this grammar.
 */
export function parseLabelExpression(text: string): LabelExpression | undefined {
  const terms: LabelTerm[] = [];
  let rest = text.trim();
  for (;;) {
    const found = single.exec(rest) ?? several.exec(rest);
    const { key, operator, value, values } = found?.groups ?? {};
    if (found === null || key === undefined) return undefined;
    terms.push({
      key,
      values: (value ?? values ?? "").split(",").map((each) => each.trim()),
      negated: operator === "!=" || operator === "notin",
    });
    rest = rest.slice(found[0].length);
    if (rest === "") return terms;
    if (!rest.startsWith(",") || terms.length >= termsMax) return undefined;
    rest = rest.slice(1).trimStart();
  }
}

/** As with Kubernetes' selectors, a negated term also holds where the label is missing. */
export function labelsMatch(expression: LabelExpression, labels: Labels): boolean {
  return expression.every(({ key, values, negated }) => {
    const label = labels.get(key);
    const found = label !== undefined && values.some((value) => globMatches(value, label));
    return found !== negated;
  });
}

const termsMax = 32;
const key = "(?<key>[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?)";
const glob = "[A-Za-z0-9._*?-]+";
const single = new RegExp(`^${key}\\s*(?<operator>==|=|!=)\\s*(?<value>${glob})\\s*`);
const several = new RegExp(
  `^${key}\\s+(?<operator>in|notin)\\s*\\(\\s*(?<values>${glob}(?:\\s*,\\s*${glob})*)\\s*\\)\\s*`,
);
