/** Loaded into the agent: at SIGUSR2 it writes the longest delay of the event loop since the last time, in milliseconds. */
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

const resolutionMs = 2;
const file = process.env.BERTH_BENCH_DELAY_FILE;
const delays = monitorEventLoopDelay({ resolution: resolutionMs });

if (file !== undefined) {
  delays.enable();
  process.on("SIGUSR2", () => {
    // What is recorded is the time between two looks.
    writeFileSync(`${file}.new`, `${Math.max(0, delays.max / 1e6 - resolutionMs)}`);
    renameSync(`${file}.new`, file);
    delays.reset();
  });
}
