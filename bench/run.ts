import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { measureAgent } from "./agent-work.ts";
import { measureContainerStart } from "./container-start.ts";
import { openEngines } from "./engines.ts";
import { measureLoads } from "./load.ts";
import { measureManifests } from "./manifests.ts";
import { type Measurement, printTable } from "./measure.ts";
import { measureEngines, measureOciRuntimes } from "./peers.ts";
import { measurePulls } from "./pull.ts";

const program = fileURLToPath(new URL("../build/payload/probe", import.meta.url));
const resultFile = fileURLToPath(new URL("../build/bench.json", import.meta.url));

const scratch = mkdtempSync(join(tmpdir(), "berth-bench-"));
const parts: Readonly<Record<string, () => Promise<readonly Measurement[]>>> = {
  start: measureContainerStart,
  manifests: () => measureManifests(join(scratch, "manifests")),
  agent: () => measureAgent(join(scratch, "agent")),
  oci: () => measureOciRuntimes(scratch, program),
  engines: measureBesideEngines,
  pulls: () => measurePulls(join(scratch, "pull")),
  loads: () => measureLoads(join(scratch, "load")),
};

try {
  const measurements: Measurement[] = [];
  for (const part of chosenParts()) measurements.push(...((await parts[part]?.()) ?? []));
  const machine = {
    kernel: release(),
    cores: cpus().length,
    model: cpus()[0]?.model ?? "",
    memoryMib: Math.round(totalmem() / 1_048_576),
    node: process.version,
  };
  writeFileSync(resultFile, `${JSON.stringify({ machine, measurements }, null, 2)}\n`);
  process.stdout.write(`${JSON.stringify(machine)}\n\n${printTable(measurements)}\n`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** All of them, or those that BENCH names: `BENCH="start pulls" make bench`. */
function chosenParts(): readonly string[] {
  const wanted = (process.env.BENCH ?? "").split(/[\s,]+/).filter(Boolean);
  const unknown = wanted.filter((part) => !(part in parts));
  if (unknown.length > 0) {
    throw new Error(`BENCH names ${unknown}: it takes ${Object.keys(parts).join(", ")}`);
  }
  return wanted.length > 0 ? wanted : Object.keys(parts);
}

/** The engines' daemons run only while they are needed. */
async function measureBesideEngines(): Promise<readonly Measurement[]> {
  const engines = await openEngines(scratch);
  try {
    return await measureEngines(engines, scratch, program);
  } finally {
    for (const engine of engines) await engine.stop();
  }
}
