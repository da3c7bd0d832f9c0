import { execFile, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually, payloadPath } from "../kernel/runtime-harness.ts";

const run = promisify(execFile);

/** Another engine with its defaults, over a data root of its own. */
export type Peer = {
  readonly name: "docker" | "podman";
  /** Runs `/bin/PROGRAM ARGUMENT` in a new container without a network; returns what it printed. */
  probe(program: string, argument: string): Promise<string>;
  close(): Promise<void>;
};

/** Why the peer cannot be compared with, undefined when it is installed. */
export function missingPeer(name: Peer["name"]): string | undefined {
  const directories = (process.env.PATH ?? "").split(":");
  const isInstalled = (program: string) =>
    directories.some((directory) => existsSync(join(directory, program)));
  const missing = (name === "docker" ? ["dockerd", "docker"] : ["podman"]).find(
    (program) => !isInstalled(program),
  );
  return missing === undefined ? undefined : `${missing} is not installed`;
}

/** Opens the engine over `scratch` and gives it an image of the probes. Close it also after a failure. */
export async function openPeer(name: Peer["name"], scratch: string): Promise<Peer> {
  const engine = await openEngine(name, scratch);
  try {
    await engine.call(["import", await writeImage(scratch), image]);
  } catch (error) {
    await engine.close();
    throw error;
  }
  return {
    name,
    close: engine.close,
    probe: async (program, argument) => {
      const options = ["--rm", "--network=none", `--cgroup-parent=${cgroupParent}`];
      const limits = engine.limits.flatMap((limit) => ["--ulimit", limit]);
      const argv = ["run", ...options, ...limits, image, `/bin/${program}`, argument];
      return engine.call(argv);
    },
  };
}

/** The engine over `scratch`, without an image. Close it also after a failure. */
export async function openEngine(name: Peer["name"], scratch: string): Promise<Engine> {
  return name === "docker" ? openDocker(scratch) : openPodman(scratch);
}

type Engine = {
  readonly limits: readonly string[];
  call(argv: readonly string[]): Promise<string>;
  close(): Promise<void>;
};

const image = "bt-surface:latest";
const cgroupParent = `/bt-surface-${process.pid}`;
/** crun refuses a host with controllers on v1 and a cgroup2 mount beside them: in a namespace of its own it sees none. */
const withoutUnified = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"';

function openPodman(scratch: string): Engine {
  const own = ["--root", join(scratch, "podman"), "--runroot", join(scratch, "podman-run")];
  return {
    // Its default of 1048576 needs CAP_SYS_RESOURCE where the host's own limit is lower.
    limits: ["nofile=1024:1024", "nproc=1000:1000"],
    call: (argv) => inPrivateMounts("podman", [...own, ...argv]),
    close: removeCgroups,
  };
}

async function openDocker(scratch: string): Promise<Engine> {
  const socket = join(scratch, "docker.sock");
  const argv = [
    ["--data-root", join(scratch, "docker")],
    ["--exec-root", join(scratch, "docker-run")],
    ["-H", `unix://${socket}`],
    ["-p", join(scratch, "docker.pid")],
    ["--iptables=false", "--bridge=none"],
  ].flat();
  const command = ["-m", "sh", "-c", withoutUnified, "sh", "dockerd", ...argv];
  const daemon = spawn("unshare", command, { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => {
    daemon.once("exit", () => resolve());
  });
  const close = async () => {
    daemon.kill("SIGTERM");
    await ended;
    await removeCgroups();
  };
  const isThere = () => (existsSync(socket) ? true : undefined);
  try {
    await eventually(isThere, "dockerd's socket", 30_000);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    limits: [],
    call: (args) => inPrivateMounts("docker", ["-H", `unix://${socket}`, ...args]),
    close,
  };
}

async function inPrivateMounts(program: string, argv: readonly string[]): Promise<string> {
  const command = ["-m", "sh", "-c", withoutUnified, "sh", program, ...argv];
  const { stdout } = await run("unshare", command, { maxBuffer: 16_777_216, timeout: 120_000 });
  return stdout;
}

async function writeImage(scratch: string): Promise<string> {
  const tree = join(scratch, "tree");
  for (const name of ["bin", "tmp", "etc"]) mkdirSync(join(tree, name), { recursive: true });
  for (const name of ["probe-surface", "probe-kernel"]) {
    cpSync(payloadPath(name), join(tree, "bin", name));
  }
  const tar = join(scratch, "image.tar");
  await run("tar", ["-C", tree, "-cf", tar, "."]);
  return tar;
}

const hierarchies = "/sys/fs/cgroup";
const hierarchiesBefore: ReadonlySet<string> = new Set(readdirSync(hierarchies));

/**
 * The engines leave the parent of their containers' cgroups behind, and what is in it may still be ending. For
 * hierarchies that the host has not mounted they have made plain directories.
 */
async function removeCgroups(): Promise<void> {
  const isPlain = (name: string) => statfsSync(join(hierarchies, name)).type === tmpfsMagic;
  const names = readdirSync(hierarchies);
  for (const name of names.filter(isPlain)) {
    rmSync(join(hierarchies, name, cgroupParent), { recursive: true, force: true });
    if (!hierarchiesBefore.has(name)) rmdirSync(join(hierarchies, name));
  }
  const parents = names
    .map((name) => join(hierarchies, name, cgroupParent))
    .filter((directory) => existsSync(directory));
  const tryIt = () => {
    try {
      for (const parent of parents) if (existsSync(parent)) removeCgroup(parent);
      return true;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EBUSY") return undefined;
      throw error;
    }
  };
  await eventually(tryIt, "the end of the peers' cgroups");
}

/** TMPFS_MAGIC of statfs(2). */
const tmpfsMagic = 0x01021994;

function removeCgroup(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(directory, entry.name));
  }
  rmdirSync(directory);
}
