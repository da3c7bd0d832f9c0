/** One line of the result table. Times in milliseconds unless the unit says otherwise. */
export type Measurement = {
  readonly what: string;
  readonly who: string;
  readonly unit: "ms" | "MiB" | "count" | "%";
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
};

/** Runs `work` `runs` times after one warm-up; the time of each run is what `work` takes, or returns where it returns one. */
export async function measure(
  what: string,
  who: string,
  options: { readonly runs: number; readonly unit?: Measurement["unit"] },
  work: (run: number) => Promise<number | undefined>,
): Promise<Measurement> {
  const samples: number[] = [];
  for (let run = -1; run < options.runs; run += 1) {
    const begin = performance.now();
    const own = await work(run);
    const sample = own ?? performance.now() - begin;
    if (run >= 0) samples.push(sample);
  }
  return summarize(what, who, options.unit ?? "ms", samples);
}

export function summarize(
  what: string,
  who: string,
  unit: Measurement["unit"],
  samples: readonly number[],
): Measurement {
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    what,
    who,
    unit,
    median: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    runs: sorted.length,
  };
}

/** The table: ratios are to berth's own line of the same work. */
export function printTable(measurements: readonly Measurement[]): string {
  const rows = measurements.map((line) => {
    const own = measurements.find(({ what, who }) => what === line.what && who.startsWith("berth"));
    const ratio =
      own === undefined || own === line ? "" : `${(line.median / own.median).toFixed(1)}x`;
    return [
      line.what,
      line.who,
      `${line.median.toFixed(2)} ${line.unit}`,
      `${line.min.toFixed(2)} - ${line.max.toFixed(2)}`,
      `${line.runs}`,
      ratio,
    ];
  });
  const header = ["work", "who", "median", "min - max", "runs", "to berth"];
  const all = [header, header.map(() => "---"), ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`)
    .join("\n");
}
