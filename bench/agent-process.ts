import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { programImage, writeOciLayout } from "../test/builders/oci-layout.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const berth = join(root, "bin", "berth");
const delayMonitor = join(root, "bench", "event-loop-delay.ts");

export const benchImage = "localhost/web:bench";

export type AgentEvent = { readonly time: string; readonly kind: string; readonly target: string };

/** A real agent on a repository of its own. */
export class AgentProcess {
  readonly dir: string;
  readonly instance: string;
  readonly #port: number;
  #child: ChildProcess | undefined;

  constructor(dir: string, port: number) {
    this.dir = dir;
    this.instance = `bench${process.pid}`;
    this.#port = port;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("cannot name the agent's pid: it does not run");
    return pid;
  }

  /** `watchesDelay`: costs the agent memory and 500 wakes a second, so only who asks for the delay has it. */
  async start({ watchesDelay = false } = {}): Promise<void> {
    mkdirSync(join(this.dir, "fleet"), { recursive: true });
    await this.git(["init", "--quiet", "--initial-branch=main"]);
    await this.commit({ "empty/compose.yaml": "services: {}\n" });
    const args = [
      "agent",
      "--repo",
      join(this.dir, "fleet"),
      "--interval",
      "1h",
      "--listen",
      `127.0.0.1:${this.#port}`,
    ];
    const monitor = {
      NODE_OPTIONS: `--import=${delayMonitor}`,
      BERTH_BENCH_DELAY_FILE: this.#delayFile(),
    };
    const env = { ...process.env, ...(watchesDelay ? monitor : {}) };
    this.#child = spawn(berth, [...args, ...this.#options()], { stdio: "ignore", env });
    while (!existsSync(join(this.dir, "run", "agent.sock"))) await sleep(20);
    const layout = join(this.dir, "image");
    const names = ["web", "probe"];
    writeOciLayout(layout, [
      programImage(
        benchImage,
        names.map((name) => ({
          path: join(root, "build", "payload", name),
          installAs: `/bin/${name}`,
        })),
      ),
    ]);
    await this.berth(["load", layout]);
    await this.berth(["sync"]);
  }

  async berth(args: readonly string[]): Promise<string> {
    const { stdout } = await run(berth, [...args, ...this.#options()], { maxBuffer: 1 << 28 });
    return stdout;
  }

  /** Writes the files and commits them; resolves when git is done. */
  async commit(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.dir, "fleet", path);
      mkdirSync(join(file, ".."), { recursive: true });
      writeFileSync(file, text);
    }
    await this.git(["add", "."]);
    const identity = ["-c", "user.name=Bench", "-c", "user.email=bench@example.org"];
    await this.git([...identity, "commit", "--quiet", "--allow-empty", "-m", "Change"]);
  }

  async git(args: readonly string[]): Promise<void> {
    await run("git", ["-C", join(this.dir, "fleet"), ...args]);
  }

  /** All that the agent recorded, oldest first. */
  async events(): Promise<readonly AgentEvent[]> {
    const text = await get({
      socketPath: join(this.dir, "run", "agent.sock"),
      path: "/v1/events",
    });
    return text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as AgentEvent);
  }

  metrics(): Promise<string> {
    return get({ host: "127.0.0.1", port: this.#port, path: "/metrics" });
  }

  /** Over the agent's own socket: no process is started to ask. */
  async control(path: string): Promise<unknown> {
    return JSON.parse(await get({ socketPath: join(this.dir, "run", "agent.sock"), path }));
  }

  /** CPU time of the agent so far, all threads that live, in milliseconds: by the scheduler's account, not by ticks. */
  cpuMs(): number {
    const tasks = `/proc/${this.pid}/task`;
    const nanoseconds = readdirSync(tasks).map((task) =>
      Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ", 1)[0]),
    );
    return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6;
  }

  /** Forgets the peak of resident memory so far (proc_pid_clear_refs(5)). */
  resetPeak(): void {
    writeFileSync(`/proc/${this.pid}/clear_refs`, "5");
  }

  /** The largest resident memory since then. */
  peakMib(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
  }

  /** The longest delay of its event loop since the last call, in milliseconds. */
  async longestDelayMs(): Promise<number> {
    rmSync(this.#delayFile(), { force: true });
    process.kill(this.pid, "SIGUSR2");
    while (!existsSync(this.#delayFile())) await sleep(5);
    return Number(readFileSync(this.#delayFile(), "utf8"));
  }

  /** Pids of the launcher and of every supervisor. */
  helperPids(): readonly number[] {
    const dir = readdirSync("/sys/fs/cgroup").includes("pids")
      ? "/sys/fs/cgroup/pids"
      : "/sys/fs/cgroup";
    const text = readFileSync(`${dir}/${this.instance}/supervisors/cgroup.procs`, "utf8");
    return text.split("\n").filter(Boolean).map(Number);
  }

  async down(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const ended = new Promise((resolve) => {
      child.once("exit", resolve);
    });
    await this.berth(["down", "--volumes"]);
    await ended;
  }

  #delayFile(): string {
    return join(this.dir, "delay");
  }

  #options(): readonly string[] {
    return ["--root", this.dir, "--instance", this.instance];
  }
}

/** A field of /proc/PID/smaps_rollup in MiB. */
export function memoryMib(pid: number, field: "Rss" | "Pss"): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) / 1024;
}

function get(options: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...options, method: "GET" }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => resolve(Buffer.concat(chunks).toString()));
    });
    asked.on("error", reject);
    asked.end();
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
