import { execFile, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
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
export async function measureEngines(scratch: string, program: string): Promise<Measurement[]> {
  const found: Measurement[] = [];
  if (await isInstalled("podman")) {
    const podman = new Engine("podman", [
      "--root",
      join(scratch, "podman"),
      "--runroot",
      join(scratch, "podman-run"),
    ]);
    await podman.importImage(program, scratch);
    found.push(await podman.measureRun());
  }
  const docker = await startDocker(scratch);
  if (docker !== undefined) {
    try {
      await docker.engine.importImage(program, scratch);
      found.push(await docker.engine.measureRun());
    } finally {
      await docker.stop();
    }
  }
  return found;
}

class Engine {
  readonly name: string;
  readonly #options: readonly string[];

  constructor(name: string, options: readonly string[]) {
    this.name = name;
    this.#options = options;
  }

  async importImage(program: string, scratch: string): Promise<void> {
    const tree = join(scratch, `tree-${this.name}`);
    mkdirSync(join(tree, "bin"), { recursive: true });
    cpSync(program, join(tree, "bin", "probe"));
    const tar = join(scratch, `${this.name}.tar`);
    await run("tar", ["-C", tree, "-cf", tar, "."]);
    await this.#call(["import", tar, "bench:latest"]);
  }

  measureRun(): Promise<Measurement> {
    return measure(
      "start of a container",
      `${this.name} run --rm, network`,
      { runs: engineRuns },
      async () => {
        const limits =
          this.name === "podman"
            ? ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]
            : [];
        const begin = performance.now();
        await this.#call([
          "run",
          "--rm",
          ...limits,
          "-p",
          "127.0.0.1::8080",
          "bench:latest",
          "/bin/probe",
          "exit",
          "0",
        ]);
        return performance.now() - begin;
      },
    );
  }

  async #call(args: readonly string[]): Promise<void> {
    const script = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"';
    await run("unshare", ["-m", "sh", "-c", script, "sh", this.name, ...this.#options, ...args]);
  }
}

async function startDocker(
  scratch: string,
): Promise<{ readonly engine: Engine; stop(): Promise<void> } | undefined> {
  if (!(await isInstalled("dockerd"))) return undefined;
  const socket = join(scratch, "docker.sock");
  const args = [
    "--data-root",
    join(scratch, "docker"),
    "--exec-root",
    join(scratch, "docker-run"),
    "-H",
    `unix://${socket}`,
    "-p",
    join(scratch, "docker.pid"),
  ];
  const script = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"';
  const daemon = spawn("unshare", ["-m", "sh", "-c", script, "sh", "dockerd", ...args], {
    stdio: "ignore",
  });
  for (let tries = 0; tries < 100 && !existsSync(socket); tries += 1) await sleep(200);
  if (!existsSync(socket)) {
    daemon.kill("SIGTERM");
    return undefined;
  }
  return {
    engine: new Engine("docker", ["-H", `unix://${socket}`]),
    stop: async () => {
      const ended = new Promise((resolve) => {
        daemon.once("exit", resolve);
      });
      daemon.kill("SIGTERM");
      await ended;
    },
  };
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

async function isInstalled(command: string): Promise<boolean> {
  return run("which", [command]).then(
    () => true,
    () => false,
  );
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
