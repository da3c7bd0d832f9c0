import { execFile } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { AgentProcess } from "./agent-process.ts";
import { type Engine, isInstalled, openEngines } from "./engines.ts";
import { type BenchImage, imageBlobs, largeImage, smallFilesImage } from "./images.ts";
import { type Measurement, summarize } from "./measure.ts";
import { makeOwnDisk } from "./own-disk.ts";
import { BenchRegistry, registryProgram } from "./registry.ts";

const run = promisify(execFile);
const pullRuns = 3;

type Puller = {
  readonly who: string;
  /** How long one pull takes, in milliseconds. */
  pull(reference: string): Promise<number>;
};

/**
 * Pull and unpack from a registry on loopback, beside the engines and tools that are installed, all on a disk of their own.
 * Each run is of an image of its own, by all in turn, and nothing is removed before the end.
 */
export async function measurePulls(dir: string): Promise<Measurement[]> {
  if (!existsSync(registryProgram)) return [];
  const disk = await makeOwnDisk(dir);
  try {
    const engines = await openEngines(dir);
    try {
      return await measureOn(dir, engines);
    } finally {
      for (const engine of engines) await engine.stop();
    }
  } finally {
    await disk.remove();
  }
}

async function measureOn(dir: string, engines: readonly Engine[]): Promise<Measurement[]> {
  const registry = await BenchRegistry.start(dir);
  const agent = new AgentProcess(join(dir, "berth"), 22_996);
  try {
    await agent.start({ watchesDelay: true });
    const found: Measurement[] = [];
    for (const image of [largeImage, smallFilesImage]) {
      const berth = new BerthPuller(agent);
      const others = [...engines.map(enginePuller), ...(await toolsPuller(join(dir, image.name)))];
      found.push(...(await measureImage(registry, image, [berth, ...others])));
      found.push(...berth.others(image));
    }
    return found;
  } finally {
    await agent.down();
    await registry.stop();
  }
}

/** The first round is not counted. */
async function measureImage(
  registry: BenchRegistry,
  image: BenchImage,
  pullers: readonly Puller[],
): Promise<Measurement[]> {
  const times = new Map<Puller, number[]>(pullers.map((puller) => [puller, []]));
  for (let round = 0; round <= pullRuns; round += 1) {
    const tag = `v${round}`;
    await registry.push(`bench/${image.name}`, tag, imageBlobs(image));
    const inTurn = [...pullers.slice(round % pullers.length), ...pullers];
    for (const puller of inTurn.slice(0, pullers.length)) {
      await run("sync");
      const tookMs = await puller.pull(registry.reference(`bench/${image.name}`, tag));
      if (round > 0) times.get(puller)?.push(tookMs);
    }
  }
  return pullers.map((puller) => summarize(image.what, puller.who, "ms", times.get(puller) ?? []));
}

/** The agent's peak is its own process's: what the helper's children use is not in it. */
class BerthPuller implements Puller {
  readonly who = "berth pull";
  readonly #agent: AgentProcess;
  readonly #peaksMib: number[] = [];
  readonly #delaysMs: number[] = [];
  readonly #cpuMs: number[] = [];

  constructor(agent: AgentProcess) {
    this.#agent = agent;
  }

  async pull(reference: string): Promise<number> {
    this.#agent.resetPeak();
    await this.#agent.longestDelayMs();
    const cpuMs = this.#agent.cpuMs();
    const begin = performance.now();
    await this.#agent.berth(["pull", reference]);
    const took = performance.now() - begin;
    this.#cpuMs.push(this.#agent.cpuMs() - cpuMs);
    this.#peaksMib.push(this.#agent.peakMib());
    this.#delaysMs.push(await this.#agent.longestDelayMs());
    return took;
  }

  /** What was measured beside the times, the first round aside. */
  others({ what }: BenchImage): readonly Measurement[] {
    return [
      summarize(`${what}: peak memory of the agent`, "berth", "MiB", this.#peaksMib.slice(1)),
      summarize(`${what}: longest delay of its event loop`, "berth", "ms", this.#delaysMs.slice(1)),
      summarize(`${what}: CPU time of the agent`, "berth", "ms", this.#cpuMs.slice(1)),
    ];
  }
}

function enginePuller(engine: Engine): Puller {
  const insecure = engine.name === "podman" ? ["--tls-verify=false"] : [];
  return {
    who: `${engine.name} pull`,
    async pull(reference) {
      const begin = performance.now();
      await engine.call(["pull", "--quiet", ...insecure, reference]);
      return performance.now() - begin;
    },
  };
}

/** A download to a layout and the reference implementation's unpacking, one after the other. */
async function toolsPuller(dir: string): Promise<readonly Puller[]> {
  if (!((await isInstalled("skopeo")) && (await isInstalled("umoci")))) return [];
  let runs = 0;
  const pull = async (reference: string): Promise<number> => {
    runs += 1;
    const place = join(dir, `${runs}`);
    mkdirSync(place, { recursive: true });
    const begin = performance.now();
    const to = `oci:${join(place, "layout")}:bench`;
    const from = `docker://${reference}`;
    await run("skopeo", ["--insecure-policy", "copy", "--src-tls-verify=false", from, to]);
    const stored = `${join(place, "layout")}:bench`;
    await run("umoci", ["unpack", "--image", stored, join(place, "bundle")]);
    return performance.now() - begin;
  };
  return [{ who: "skopeo copy and umoci unpack", pull }];
}
