import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { measureAgent } from "./agent-work.ts";
import { measureContainerStart } from "./container-start.ts";
import { type Measurement, printTable } from "./measure.ts";
import { measureEngines, measureOciRuntimes } from "./peers.ts";

const program = fileURLToPath(new URL("../build/payload/probe", import.meta.url));
const resultFile = fileURLToPath(new URL("../build/bench.json", import.meta.url));

const scratch = mkdtempSync(join(tmpdir(), "berth-bench-"));
try {
  const measurements: Measurement[] = [
    ...(await measureContainerStart()),
    ...(await measureAgent(join(scratch, "agent"))),
    ...(await measureOciRuntimes(scratch, program)),
    ...(await measureEngines(scratch, program)),
  ];
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
