import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { measureCompose } from "./compose.ts";
import { type Engine, isInstalled } from "./engines.ts";
import { type Measurement, measure } from "./measure.ts";

const run = promisify(execFile);
const startRuns = 20;
const engineRuns = 5;

/** crun and runc on a prepared bundle, without a network: the bare cost of a container that runs /bin/true. */
export async function measureOciRuntimes(scratch: string, program: string): Promise<Measurement[]> {
  const found: Measurement[] = [];
  for (const runtime of ["crun", "runc"]) {
    if (!(await isInstalled(runtime))) continue;
    const bundle = join(scratch, `bundle-${runtime}`);
    await prepareBundle(runtime, bundle, program);
    // crun refuses a host with both cgroup versions: it does not see the second one in a namespace of its own.
    const script =
      runtime === "crun" ? 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' : 'exec "$@"';
    const one = async (sequence: number) => {
      const name = `bench-${process.pid}-${sequence}`;
      const args = ["run", "--bundle", bundle, name];
      const begin = performance.now();
      await run("unshare", [
        "-m",
        "sh",
        "-c",
        script,
        "sh",
        runtime,
        "--root",
        join(scratch, runtime),
        ...args,
      ]);
      return performance.now() - begin;
    };
    const overhead = await wrapperOverhead(script);
    found.push(
      await measure(
        "start of a container",
        `${runtime} run, bundle, no network`,
        { runs: startRuns },
        async (n) => Math.max(0, (await one(n + 1)) - overhead),
      ),
    );
  }
  return found;
}

/** podman and docker with their own network, as users run them. */
export async function measureEngines(
  engines: readonly Engine[],
  scratch: string,
  program: string,
): Promise<Measurement[]> {
  const found: Measurement[] = [];
  for (const engine of engines) {
    await engine.importImage(program, scratch);
    found.push(await measureRun(engine));
    if (engine.socket !== undefined && (await isInstalled("docker-compose")))
      found.push(...(await measureCompose(scratch, engine.socket)));
  }
  return found;
}

function measureRun(engine: Engine): Promise<Measurement> {
  const limits =
    engine.name === "podman" ? ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"] : [];
  const options = ["run", "--rm", ...limits, "-p", "127.0.0.1::8080"];
  const who = `${engine.name} run --rm, network`;
  return measure("start of a container", who, { runs: engineRuns }, async () => {
    const begin = performance.now();
    await engine.call([...options, "bench:latest", "/bin/probe", "exit", "0"]);
    return performance.now() - begin;
  });
}

async function prepareBundle(runtime: string, bundle: string, program: string): Promise<void> {
  mkdirSync(join(bundle, "rootfs", "bin"), { recursive: true });
  cpSync(program, join(bundle, "rootfs", "bin", "probe"));
  await run(runtime, ["spec"], { cwd: bundle });
  const file = join(bundle, "config.json");
  // Written by the runtime itself a moment ago.
  const config = JSON.parse(readFileSync(file, "utf8")) as {
    process: { terminal: boolean; args: string[]; rlimits?: unknown };
  };
  config.process.terminal = false;
  config.process.args = ["/bin/probe", "exit", "0"];
  delete config.process.rlimits;
  writeFileSync(file, JSON.stringify(config));
}

/** What `unshare` and the shell around a runtime cost by themselves. */
async function wrapperOverhead(script: string): Promise<number> {
  const { median } = await measure("", "", { runs: startRuns }, async () => {
    const begin = performance.now();
    await run("unshare", ["-m", "sh", "-c", script, "sh", "true"]);
    return performance.now() - begin;
  });
  return median;
}
