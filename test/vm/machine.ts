import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type CommandResult, GuestChannel } from "./guest-channel.ts";
import { MachineMonitor } from "./machine-monitor.ts";

export type MachineOptions = {
  /** Holds the machine's sockets and logs; the caller's to remove. */
  readonly dir: string;
  readonly kernel: string;
  readonly initrd: string;
  /** Root disk, qcow2. */
  readonly disk: string;
  /** Second disk, read-only and raw: a tar for the guest. */
  readonly payload: string;
  /** A frozen machine that goes on, in place of a boot. */
  readonly frozenState?: string;
  /** The guest may boot again by itself; else a reboot ends QEMU. */
  readonly reboots?: boolean;
};

export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
}

/** Software emulation is some fifteen times slower than the machine below. */
const commandTimeoutMs = 240_000;
const bootTimeoutMs = 240_000;

/**
 * What emulates both cores in one thread does not race with itself over code that V8 writes while another thread runs it;
 * what is off was new in QEMU 7.2's decoder, or is protection of code that V8 uses where it finds it.
 */
const cpuModel = "max,cx16=off,pku=off,avx=off,avx2=off,fma=off,f16c=off,bmi1=off,bmi2=off";

/** One guest under QEMU's software emulation, without any network card. */
export class Machine {
  readonly #options: MachineOptions;
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  #channel: GuestChannel | undefined;
  #monitor: MachineMonitor | undefined;

  private constructor(options: MachineOptions) {
    this.#options = options;
    for (const name of ["agent.sock", "monitor.sock"])
      rmSync(join(options.dir, name), { force: true });
    const output = openSync(join(options.dir, "qemu.log"), "w");
    // Whatever ends the tests ends the machine, too.
    const command = ["--pdeathsig", "KILL", "qemu-system-x86_64", ...qemuArguments(options)];
    this.#process = spawn("setpriv", command, {
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    this.#process.on("error", () => {});
    this.#ended = once(this.#process, "exit").then(() => {});
    process.on("exit", this.#kill);
  }

  /** Boots, or goes on from a frozen state, until the guest answers. */
  static async start(options: MachineOptions): Promise<Machine> {
    const machine = new Machine(options);
    const failed = new AbortController();
    const timer = setTimeout(
      () => failed.abort(new Error("the guest does not answer")),
      bootTimeoutMs,
    );
    void machine.#ended.then(() => failed.abort(new Error("QEMU ended")));
    try {
      machine.#monitor = await MachineMonitor.open(
        join(options.dir, "monitor.sock"),
        failed.signal,
      );
      machine.#channel = await GuestChannel.open(join(options.dir, "agent.sock"), failed.signal);
      if (options.frozenState !== undefined) await machine.#thaw(machine.#monitor);
      await machine.run("true", bootTimeoutMs);
      return machine;
    } catch (cause) {
      const log = machine.log();
      await machine.end();
      throw new Error(`cannot start the guest: ${log}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Runs a bash script in the guest, however it ends. */
  try(script: string, timeoutMs = commandTimeoutMs): Promise<CommandResult> {
    if (this.#channel === undefined) throw new Error("cannot run a command: the guest is gone");
    return this.#channel.run(script, timeoutMs);
  }

  /** Runs a bash script in the guest; returns its output, trimmed. Throws when it fails. */
  async run(script: string, timeoutMs = commandTimeoutMs): Promise<string> {
    const { code, output } = await this.try(script, timeoutMs);
    if (code !== 0)
      throw new CommandFailed(`exit code ${code} in the guest from: ${script}\n${output}`);
    return output.trim();
  }

  /** Runs a script again and again, until it succeeds; returns its output. */
  async eventually(script: string, timeoutMs = 240_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const { code, output } = await this.try(script);
      if (code === 0) return output.trim();
      if (Date.now() > deadline)
        throw new CommandFailed(`never succeeded in the guest: ${script}\n${output}`);
      await new Promise((resolve) => {
        setTimeout(resolve, 500);
      });
    }
  }

  /** Writes memory and devices to a file and ends. The disk must stay as it is from then on. */
  async freeze(file: string): Promise<void> {
    const monitor = this.#monitor;
    if (monitor === undefined) throw new Error("cannot freeze: the guest is gone");
    await monitor.command("stop");
    await monitor.command("migrate", { uri: `exec:cat >'${file}'` });
    const status = await monitor.waitForStatus("query-migrate", ["completed", "failed"]);
    await this.end();
    if (status !== "completed") throw new Error("cannot freeze: QEMU could not write the state");
  }

  /** Reboots the guest in an orderly way and waits until it answers again. */
  async reboot(): Promise<void> {
    const before = await this.run("cat /proc/sys/kernel/random/boot_id");
    void this.try("systemctl reboot").catch(() => {});
    const deadline = Date.now() + bootTimeoutMs;
    for (;;) {
      const asked = await this.try("cat /proc/sys/kernel/random/boot_id", 5000).catch(
        () => undefined,
      );
      if (asked?.code === 0 && asked.output.trim() !== before) return;
      if (Date.now() > deadline)
        throw new Error(`cannot see the guest after its reboot: ${this.log()}`);
    }
  }

  /** Cuts the power. */
  async end(): Promise<void> {
    this.#kill();
    await this.#ended;
    this.#channel?.close();
    this.#monitor?.close();
    process.off("exit", this.#kill);
  }

  /** What QEMU and the guest's console said last. */
  log(): string {
    return ["qemu.log", "console.log"]
      .map((name) => {
        try {
          return readFileSync(join(this.#options.dir, name), "utf8").slice(-2000);
        } catch {
          return "";
        }
      })
      .join("\n");
  }

  readonly #kill = (): void => {
    if (this.#process.pid !== undefined && this.#process.exitCode === null) {
      this.#process.kill("SIGKILL");
    }
  };

  async #thaw(monitor: MachineMonitor): Promise<void> {
    await monitor.waitForStatus("query-status", ["paused", "prelaunch", "postmigrate", "running"]);
    await monitor.command("cont");
  }
}

function qemuArguments(options: MachineOptions): readonly string[] {
  const { dir } = options;
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-nic", "none"],
    ...(options.reboots === true ? [] : ["-no-reboot"]),
    // /dev/kvm may be there without working; the emulation always works.
    ...["-accel", "tcg,thread=single,tb-size=256", "-cpu", cpuModel, "-machine", "q35"],
    ...["-smp", "2", "-m", "1280", "-kernel", options.kernel, "-initrd", options.initrd],
    ...["-append", "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr audit=0"],
    ...["-serial", `file:${join(dir, "console.log")}`, "-device", "virtio-rng-pci"],
    ...["-qmp", `unix:${join(dir, "monitor.sock")},server=on,wait=off`],
    ...["-chardev", `socket,id=agent,path=${join(dir, "agent.sock")},server=on,wait=off`],
    ...["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=berth.lab"],
    ...["-drive", `if=none,id=root,file=${options.disk},format=qcow2,cache=unsafe`],
    ...["-device", "virtio-blk-pci,drive=root"],
    ...["-drive", `if=none,id=payload,file=${options.payload},format=raw,readonly=on`],
    ...["-device", "virtio-blk-pci,drive=payload"],
    ...(options.frozenState === undefined
      ? []
      : ["-incoming", `exec:cat '${options.frozenState}'`]),
  ];
}
