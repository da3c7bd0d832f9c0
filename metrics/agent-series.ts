/** How the agent's own series are made. */
import { Counter, Histogram, type Registry } from "./prometheus-client.ts";

export const durationBucketsSeconds = [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 15, 60, 300];

/** Where all values of the only label are known, each begins at 0, so that the first event is an increase. */
export function counter<Label extends string>(
  registry: Registry,
  options: {
    readonly name: string;
    readonly help: string;
    readonly labels: Readonly<Record<Label, readonly string[]>>;
  },
): Counter<string> {
  const { name, help, labels } = options;
  const labelNames = Object.keys(labels);
  const metric = new Counter<string>({ name, help, labelNames, registers: [registry] });
  if (labelNames.length > 1) return metric;
  for (const [label, values] of Object.entries<readonly string[]>(labels)) {
    for (const value of values) metric.inc({ [label]: value }, 0);
  }
  return metric;
}

/** Of seconds. */
export function histogram(registry: Registry, name: string, help: string): Histogram {
  return new Histogram({ name, help, buckets: durationBucketsSeconds, registers: [registry] });
}
