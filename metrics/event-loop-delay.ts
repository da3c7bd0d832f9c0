import { monitorEventLoopDelay } from "node:perf_hooks";
import { Gauge, type Registry } from "./prometheus-client.ts";

const prefix = "nodejs_eventloop_lag";

/**
 * How long the event loop held up what waited for it since the last scrape, in seconds, under the names that prom-client
 * gives it. The library asks by a timer, which wakes an idle agent ten times a second and is itself part of every value.
 */
export function collectEventLoopDelay(registry: Registry): void {
  const histogram = monitorEventLoopDelay({ samplePerIteration: true });
  histogram.enable();
  const figure = (suffix: string, help: string, nanoseconds: () => number) =>
    new Gauge({
      name: `${prefix}_${suffix}_seconds`,
      help: `${help} delay of the event loop since the last scrape.`,
      registers: [registry],
      collect() {
        // Without a sample the smallest is the largest number there is.
        this.set(histogram.count === 0 ? Number.NaN : nanoseconds() / 1e9);
      },
    });
  figure("min", "The shortest", () => histogram.min);
  figure("max", "The longest", () => histogram.max);
  figure("mean", "The mean", () => histogram.mean);
  figure("stddev", "The standard deviation of the", () => histogram.stddev);
  for (const percentile of [50, 90, 99]) {
    const help = `The ${percentile}th percentile of the`;
    figure(`p${percentile}`, help, () => histogram.percentile(percentile));
  }
  const turn = new Gauge({
    name: `${prefix}_seconds`,
    help: "How long this scrape waited for its turn in the event loop.",
    registers: [],
    async collect() {
      // A scrape collects in the order of registration: all figures are taken by now.
      histogram.reset();
      const begin = performance.now();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      this.set((performance.now() - begin) / 1000);
    },
  });
  registry.registerMetric(turn);
}
