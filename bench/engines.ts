import { type ChildProcess, execFile, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
// podman and docker refuse a host with both cgroup versions: they do not see the second one in a namespace of their own.
const script = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"';

/** An engine of others with directories of its own. */
export class Engine {
  readonly name: string;
  /** Of its daemon, where it has one. */
  readonly socket: string | undefined;
  readonly #options: readonly string[];
  readonly #daemon: ChildProcess | undefined;

  constructor(
    name: string,
    options: readonly string[],
    daemon?: { readonly process: ChildProcess; readonly socket: string },
  ) {
    this.name = name;
    this.socket = daemon?.socket;
    this.#options = options;
    this.#daemon = daemon?.process;
  }

  /** An image `bench:latest` with one program in it. */
  async importImage(program: string, scratch: string): Promise<void> {
    const tree = join(scratch, `tree-${this.name}`);
    mkdirSync(join(tree, "bin"), { recursive: true });
    cpSync(program, join(tree, "bin", "probe"));
    const tar = join(scratch, `${this.name}.tar`);
    await run("tar", ["-C", tree, "-cf", tar, "."]);
    await this.call(["import", tar, "bench:latest"]);
  }

  async call(args: readonly string[]): Promise<void> {
    await run("unshare", ["-m", "sh", "-c", script, "sh", this.name, ...this.#options, ...args]);
  }

  async stop(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined || daemon.exitCode !== null) return;
    const ended = new Promise((resolve) => {
      daemon.once("exit", resolve);
    });
    daemon.kill("SIGTERM");
    await ended;
  }
}

/** Those of podman and docker that are installed; stop them in the end. */
export async function openEngines(scratch: string): Promise<readonly Engine[]> {
  const options = ["--root", join(scratch, "podman"), "--runroot", join(scratch, "podman-run")];
  const podman = (await isInstalled("podman")) ? new Engine("podman", options) : undefined;
  return [podman, await startDocker(scratch)].filter((engine) => engine !== undefined);
}

async function startDocker(scratch: string): Promise<Engine | undefined> {
  if (!(await isInstalled("dockerd"))) return undefined;
  const socket = join(scratch, "docker.sock");
  const options = {
    "--data-root": join(scratch, "docker"),
    "--exec-root": join(scratch, "docker-run"),
    "-H": `unix://${socket}`,
    "-p": join(scratch, "docker.pid"),
  };
  const args = ["-m", "sh", "-c", script, "sh", "dockerd", ...Object.entries(options).flat()];
  const process = spawn("unshare", args, { stdio: "ignore" });
  for (let tries = 0; tries < 100 && !existsSync(socket); tries += 1) await sleep(200);
  const engine = new Engine("docker", ["-H", `unix://${socket}`], { process, socket });
  if (existsSync(socket)) return engine;
  await engine.stop();
  return undefined;
}

export async function isInstalled(command: string): Promise<boolean> {
  return run("which", [command]).then(
    () => true,
    () => false,
  );
}
