import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import { syscallNumbers } from "../../runtime/seccomp/syscall-numbers.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { TestBundle } from "./bundle.ts";

const program = fileURLToPath(new URL("../../build/payload/seccomp-agent", import.meta.url));
const architecture = process.arch === "arm64" ? "aarch64" : "x86_64";
const numbers = syscallNumbers(architecture);
/** A libc takes either. */
const asked = ["mkdir", "mkdirat"].map((name) => `asked ${numbers.get(name)}`);

/** Refuses what it is asked about with ENOMEDIUM, and says line by line what it heard. */
class Agent {
  readonly path: string;
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(t: ExecutionContext, bundle: TestBundle) {
    this.path = `${bundle.dir}/agent`;
    const child = spawn(program, [this.path], {
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    this.process = child;
    const lines: Interface = createInterface({ input: child.stdout });
    this.#lines = lines[Symbol.asyncIterator]();
    t.teardown(() => this.end());
  }

  static async start(t: ExecutionContext, bundle: TestBundle): Promise<Agent> {
    const agent = new Agent(t, bundle);
    t.is(await agent.line(), "listening");
    return agent;
  }

  async line(): Promise<string> {
    return (await this.#lines.next()).value ?? "";
  }

  async state(): Promise<unknown> {
    return JSON.parse((await this.line()).replace(/^state /, ""));
  }

  /** With the children that answer: they are its process group. */
  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, "exit");
    if (this.process.pid !== undefined) process.kill(-this.process.pid, "SIGKILL");
    await ended;
  }
}

function seccomp(path: string, names: readonly string[] = ["mkdir", "mkdirat"]) {
  return {
    defaultAction: "SCMP_ACT_ALLOW",
    listenerPath: path,
    listenerMetadata: 'what "pid":0, means',
    syscalls: [{ names, action: "SCMP_ACT_NOTIFY" }],
  };
}

for (const noNewPrivileges of [false, true]) {
  const name = noNewPrivileges ? "with" : "without";
  serialKernelTest(
    `an agent is told of the process and answers its calls, ${name} no_new_privs`,
    async (t) => {
      const bundle = new TestBundle(t);
      const agent = await Agent.start(t, bundle);
      bundle.configure(["mkdir", "/tmp/made"], {
        process: { noNewPrivileges },
        linux: { seccomp: seccomp(agent.path) },
        annotations: { kept: "yes" },
      });
      const pidFile = `${bundle.dir}/pid`;
      await bundle.create("--pid-file", pidFile);
      const pid = Number(readFileSync(pidFile, "utf8"));
      const { id, dir } = bundle;
      t.deepEqual(await agent.state(), {
        ociVersion: "1.2.0",
        fds: ["seccompFd"],
        pid,
        metadata: 'what "pid":0, means',
        state: {
          ociVersion: "1.2.0",
          id,
          status: "creating",
          pid,
          bundle: dir,
          annotations: { kept: "yes" },
        },
      });
      t.is(await bundle.status(), "created");
      t.is((await bundle.berth("start", id)).code, 0);
      t.true(asked.includes(await agent.line()));
    },
  );
}

serialKernelTest("a process that is executed later has a listener of its own", async (t) => {
  const bundle = new TestBundle(t);
  const agent = await Agent.start(t, bundle);
  bundle.configure(["sleep", "100"], { linux: { seccomp: seccomp(agent.path) } });
  await bundle.create();
  const first = await agent.state();
  await bundle.berth("start", bundle.id);
  const ended = await bundle.berth("exec", bundle.id, "/bin/probe", "mkdir", "/tmp/made");
  t.not(ended.code, 0);
  t.true(ended.stderr.includes("No medium found"), ended.stderr);
  const second = await agent.state();
  // Both were read from the agent's lines: fields that are missing fail the comparison.
  const [one, other] = [first, second] as { pid: number; state: { pid: number; status: string } }[];
  t.not(other?.pid, one?.pid);
  t.is(other?.state.pid, one?.pid);
  t.is(other?.state.status, "running");
});

serialKernelTest("without its agent a call does not exist, and nobody waits", async (t) => {
  const bundle = new TestBundle(t);
  const agent = await Agent.start(t, bundle);
  bundle.configure(["mkdir", "/tmp/made"], { linux: { seccomp: seccomp(agent.path) } });
  await bundle.create();
  await agent.state();
  await agent.end();
  const pid = Number(JSON.parse((await bundle.berth("state", bundle.id)).stdout).pid);
  t.is((await bundle.berth("start", bundle.id)).code, 0);
  while (isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
  t.true(readFileSync(`${bundle.dir}/output`, "utf8").includes("not implemented"));
});

function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.startsWith("Z") === false;
  } catch {
    return false;
  }
}

serialKernelTest(
  "what nobody could be asked about is refused before anything is made",
  async (t) => {
    const bundle = new TestBundle(t);
    const refused = async (filter: unknown, message: RegExp): Promise<void> => {
      bundle.configure(["exit", "0"], { linux: { seccomp: filter } });
      const ended = await bundle.berth("run", bundle.id);
      t.is(ended.code, 1);
      t.regex(ended.stderr, message);
      t.deepEqual(bundle.cgroups(), []);
    };
    await refused(seccomp(`${bundle.dir}/nobody`), /failed to connect with seccomp agent/);
    await refused(seccomp("@abstract"), /absolute path of a socket is expected/);
    await refused({ ...seccomp(""), listenerPath: undefined }, /linux\.seccomp\.listenerPath/);
    await refused(seccomp("/agent", ["write"]), /cannot be used for the write syscall/);
    await refused({ defaultAction: "SCMP_ACT_NOTIFY" }, /cannot be used as the default action/);
  },
);
