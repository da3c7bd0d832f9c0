import { execFile } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";

const run = promisify(execFile);
const repository = fileURLToPath(new URL("../..", import.meta.url));

export type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Everything that a test may change of a configuration. */
export type ConfigChanges = {
  readonly process?: Readonly<Record<string, unknown>>;
  readonly linux?: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
};

/** A bundle with the probe program as `/bin/probe`, and the command line at work on a state directory of its own. */
export class TestBundle {
  readonly dir = mkdtempSync(join(tmpdir(), "berth-oci-test-"));
  readonly root = `${this.dir}/state`;
  readonly rootfs = `${this.dir}/rootfs`;
  readonly id = `bt-oci-${this.dir.slice(-6)}`;

  constructor(t: ExecutionContext) {
    for (const name of ["bin", "proc", "dev", "sys", "tmp"]) {
      mkdirSync(`${this.rootfs}/${name}`, { recursive: true });
    }
    for (const name of ["probe", "probe-keys"]) {
      copyFileSync(join(repository, "build/payload", name), `${this.rootfs}/bin/${name}`);
    }
    t.teardown(() => this.#end());
  }

  /** Writes `config.json`: a probe in namespaces of its own, with the changes over it. */
  configure(argv: readonly string[], changes: ConfigChanges = {}): void {
    const capabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"];
    const config = {
      ociVersion: "1.2.0",
      root: { path: "rootfs" },
      hostname: "probe",
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
        { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance"] },
      ],
      ...changes,
      process: {
        user: { uid: 0, gid: 0 },
        args: ["/bin/probe", ...argv],
        env: ["PATH=/bin"],
        cwd: "/",
        capabilities: {
          bounding: capabilities,
          effective: capabilities,
          permitted: capabilities,
        },
        ...changes.process,
      },
      linux: {
        namespaces: ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type })),
        ...changes.linux,
      },
    };
    writeFileSync(`${this.dir}/config.json`, JSON.stringify(config));
  }

  /** Runs `berth oci` to its end, whatever that is. */
  berth(...words: readonly string[]): Promise<Ended> {
    return this.#run(join(repository, "bin/berth-oci"), ["--root", this.root, ...words]);
  }

  /** The same, by a caller whose session keyring holds a key of this name. */
  runWithKey(name: string, ...words: readonly string[]): Promise<Ended> {
    const berth = join(repository, "bin/berth-oci");
    const program = join(repository, "build/payload/probe-keys");
    return this.#run(program, ["with", name, berth, "--root", this.root, ...words]);
  }

  /** The same, by a caller who is in this group, too. */
  runInGroup(gid: number, ...words: readonly string[]): Promise<Ended> {
    const berth = join(repository, "bin/berth-oci");
    return this.#run("setpriv", ["--groups", `${gid}`, berth, "--root", this.root, ...words]);
  }

  /** The same, by a caller that has something open as its descriptor 3. */
  runWithFd3(...words: readonly string[]): Promise<Ended> {
    const script = 'exec "$0" --root "$@" 3</dev/null';
    return this.#run("sh", ["-c", script, join(repository, "bin/berth-oci"), this.root, ...words]);
  }

  async #run(file: string, words: readonly string[]): Promise<Ended> {
    try {
      const ended = await run(file, words, {
        cwd: this.dir,
        // A guest under emulation takes fifteen times as long.
        timeout: 240_000,
      });
      return { code: 0, ...ended };
    } catch (error) {
      // What execFile rejects with: an Error that carries these fields.
      const failed = error as Error & { code?: number; stdout?: string; stderr?: string };
      if (typeof failed.code !== "number") throw error;
      return { code: failed.code, stdout: failed.stdout ?? "", stderr: failed.stderr ?? "" };
    }
  }

  /** Creates without keeping the output's pipes open, as a caller that goes on does. */
  async create(...options: readonly string[]): Promise<void> {
    const words = ["create", "--bundle", this.dir, ...options, this.id];
    await run("sh", [
      "-c",
      'exec "$@" </dev/null >"$0" 2>&1',
      `${this.dir}/output`,
      join(repository, "bin/berth-oci"),
      "--root",
      this.root,
      ...words,
    ]);
  }

  async status(): Promise<string> {
    const { stdout } = await this.berth("state", this.id);
    // Written by the program under test; a missing field fails the comparison.
    return (JSON.parse(stdout) as { status: string }).status;
  }

  cgroups(): readonly string[] {
    // The one tree of cgroup2 is mounted there itself, those of v1 below.
    return [".", ...readdirSync("/sys/fs/cgroup")]
      .map((hierarchy) => `/sys/fs/cgroup/${hierarchy}/berth-oci-${this.id}`)
      .filter(existsSync);
  }

  async #end(): Promise<void> {
    await this.berth("delete", "--force", this.id);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
