/** A strict parser of Prometheus text format 0.0.4: throws where a scraper might stumble. */

export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

export type ParsedFamily = {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
};

/** Families by name. Every sample must follow its family's HELP and TYPE; no series may come twice; no timestamps. */
export function parseExposition(text: string): ReadonlyMap<string, ParsedFamily> {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line has no end");
  const families = new Map<
    string,
    { name: string; type: string; help: string; samples: Sample[] }
  >();
  const seen = new Set<string>();
  let current = "";
  let help: readonly [string, string] | undefined;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const helpLine = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    const typeLine = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary)$/.exec(
      line,
    );
    if (helpLine?.[1] && helpLine[2]) help = [helpLine[1], helpLine[2]];
    else if (typeLine?.[1] && typeLine[2]) {
      current = typeLine[1];
      if (help?.[0] !== current) throw new Error(`${current}: TYPE without its HELP`);
      if (families.has(current)) throw new Error(`${current}: comes twice`);
      families.set(current, { name: current, type: typeLine[2], help: help[1], samples: [] });
    } else {
      const family = families.get(current);
      const sample = parseSample(line);
      if (!family || !belongs(sample.name, family)) throw new Error(`not in its family: ${line}`);
      const series = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
      if (seen.has(series)) throw new Error(`comes twice: ${line}`);
      seen.add(series);
      family.samples.push(sample);
    }
  }
  return families;
}

function belongs(name: string, family: { readonly name: string; readonly type: string }): boolean {
  if (name === family.name) return true;
  if (family.type !== "histogram" && family.type !== "summary") return false;
  return ["_bucket", "_sum", "_count"].some((suffix) => name === family.name + suffix);
}

function parseSample(line: string): Sample {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s.exec(line);
  if (!match?.[1] || !match[3]) throw new Error(`not a sample: ${line}`);
  return { name: match[1], labels: parseLabels(match[2] ?? ""), value: parseValue(match[3]) };
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  const pair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
  let at = 0;
  while (at < text.length) {
    pair.lastIndex = at;
    const match = pair.exec(text);
    if (!match?.[1] || match[2] === undefined) throw new Error(`not labels: ${text.slice(at)}`);
    if (match[1] in labels) throw new Error(`label twice: ${match[1]}`);
    labels[match[1]] = match[2].replace(/\\(.)/g, (_, char: string) =>
      char === "n" ? "\n" : char,
    );
    at = pair.lastIndex;
    if (match[3] === "," && at === text.length) throw new Error(`ends with a comma: ${text}`);
  }
  return labels;
}

function parseValue(text: string): number {
  if (["NaN", "+Inf", "-Inf"].includes(text)) return Number(text.replace("Inf", "Infinity"));
  if (!/^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text)) throw new Error(`not a number: ${text}`);
  return Number(text);
}
