import { execFile } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { deviceFilter } from "./cgroups/cgroup-devices.ts";
import { type CgroupHost, controllerDir, detectCgroups } from "./cgroups/cgroup-host.ts";
import { helperPath } from "./helper/helper-path.ts";
import { Launcher } from "./helper/launcher.ts";
import type { HostFeature } from "./host-features.ts";
import { LAYER_ID_BASE } from "./images/layer-ids.ts";
import { networkFeatures } from "./network/network-features.ts";
import { hasApparmor, hasSelinux } from "./plan/plan-label.ts";
import { Program } from "./program/program.ts";
import { prepareOverlay } from "./program/rootfs-program.ts";
import type { Log } from "./runtime.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Tries out what containers need, on this kernel, without leaving anything behind. `libDir` is where images and volumes
 * will lie; it need not exist yet.
 */
export async function hostFeatures(options: {
  readonly libDir: string;
}): Promise<readonly HostFeature[]> {
  const isRoot = process.geteuid?.() === 0;
  const own: HostFeature[] = [
    feature("root", isRoot, true, isRoot ? "running as root" : "not root", "run berth as root"),
    feature(
      "helper",
      existsSync(helperPath),
      true,
      existsSync(helperPath) ? "the helper is built" : `${helperPath} is missing`,
      'run "make"',
    ),
    userNamespaces(),
    seccomp(),
    securityModules(),
    await gitVersion(),
    ...cgroupFeatures(),
  ];
  if (!isRoot || !existsSync(helperPath)) return own;
  return [...own, ...(await mountFeatures(options.libDir)), ...(await networkFeatures())];
}

function userNamespaces(): HostFeature {
  const allowed = Number(readOr("/proc/sys/user/max_user_namespaces", "0"));
  return feature(
    "user namespaces",
    allowed > 0,
    true,
    allowed > 0 ? `up to ${allowed}` : "none are allowed",
    "sysctl user.max_user_namespaces=65536",
  );
}

function seccomp(): HostFeature {
  const actions = readOr("/proc/sys/kernel/seccomp/actions_avail", "");
  return feature(
    "seccomp",
    actions.includes("errno"),
    true,
    actions === "" ? "not in this kernel" : "system call filters work",
    "use a kernel with CONFIG_SECCOMP_FILTER",
  );
}

/** Containers do without: what asks for one is refused where it is missing. */
function securityModules(): HostFeature {
  const found = [hasApparmor() ? ["AppArmor"] : [], hasSelinux() ? ["SELinux"] : []].flat();
  const detail =
    found.length === 0
      ? "none; apparmor and label of security_opt are refused"
      : `${found.join(" and ")}, for who asks for it by security_opt`;
  return { name: "security modules", ok: true, required: false, detail };
}

async function gitVersion(): Promise<HostFeature> {
  const version = await promisify(execFile)("git", ["--version"]).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
  return feature("git", version !== undefined, true, version ?? "not found", "apt-get install git");
}

function cgroupFeatures(): readonly HostFeature[] {
  let host: CgroupHost;
  try {
    host = detectCgroups();
  } catch (error) {
    return [feature("cgroups", false, true, String(error), "mount -t cgroup2 none /sys/fs/cgroup")];
  }
  const layout =
    host.v1.size === 0 ? "v2" : host.unified === undefined ? "v1" : "v1 and v2 (hybrid)";
  const controllers = ["cpu", "memory", "pids", "blkio"].map((name) => {
    const found = controllerDir(host, name, "") !== undefined;
    return feature(
      `cgroup controller ${name === "blkio" ? "io" : name}`,
      found,
      false,
      found ? "available" : "missing: its limits and figures are not to be had",
      `boot with cgroup_enable=${name}`,
    );
  });
  return [feature("cgroups", true, true, layout, ""), ...controllers];
}

/** Overlay and idmapped mounts depend on the kernel and on the file system below: only trying tells. */
async function mountFeatures(libDir: string): Promise<readonly HostFeature[]> {
  const scratch = mkdtempSync(join(existing(libDir), ".berth-doctor-"));
  const launcher = new Launcher({ helperPath, log: silent });
  try {
    await launcher.open();
    const idmap = await attempt(() => launcher.run(idmapProgram(scratch)));
    const overlay = await attempt(() => launcher.run(overlayProgram(scratch)));
    const devices = await attempt(() => tryDeviceFilter(launcher));
    return [
      feature(
        "device filter",
        devices === undefined,
        true,
        devices ?? "devices can be kept away from containers",
        "use a kernel with CONFIG_CGROUP_BPF, or with the v1 devices controller",
      ),
      feature(
        "idmapped mounts",
        idmap === undefined,
        true,
        idmap ?? `work on ${existing(libDir)}`,
        "use Linux 5.19 or newer and ext4, xfs or btrfs for the data directory",
      ),
      feature(
        "overlay",
        overlay === undefined,
        true,
        overlay ?? `works on ${existing(libDir)}`,
        "modprobe overlay, and keep the data directory on ext4, xfs or btrfs",
      ),
    ];
  } finally {
    await launcher.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

function idmapProgram(directory: string): Buffer {
  const program = new Program();
  const [ids, tree] = [program.slot(), program.slot()];
  const map = `${LAYER_ID_BASE} ${triedIdBase} 65536\n`;
  program
    .userNamespace(ids, map, map)
    .openTree(tree, directory)
    .mountSetattr(tree, { userNamespace: ids });
  return program.finish();
}

/** On a v1 host the controller's directory is all that is needed; on v2 a program has to load and attach. */
async function tryDeviceFilter(launcher: Launcher): Promise<void> {
  const host = detectCgroups();
  const filter = deviceFilter(host, []);
  if (filter === undefined || host.unified === undefined) return;
  const directory = mkdtempSync(join(host.unified, ".berth-doctor-"));
  try {
    await launcher.run(new Program().cgroupDevices(directory, filter).finish());
  } finally {
    rmdirSync(directory);
  }
}

/** As a container's root is made: of layers that carry the store's ids. */
function overlayProgram(directory: string): Buffer {
  const program = new Program();
  const [layer, writable] = [join(directory, "layer"), join(directory, "writable")];
  for (const path of [layer, writable, join(writable, "upper"), join(writable, "work")]) {
    mkdirSync(path);
    chownSync(path, LAYER_ID_BASE, LAYER_ID_BASE);
  }
  const storeIds = program.slot();
  const map = `${LAYER_ID_BASE} ${triedIdBase} 65536\n`;
  program.userNamespace(storeIds, map, map);
  prepareOverlay(program, {
    layerDirs: [layer],
    writableDir: writable,
    storeIds,
    idBase: triedIdBase,
  });
  return program.finish();
}

const triedIdBase = 524_288;

async function attempt(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function existing(path: string): string {
  let candidate = path;
  while (!existsSync(candidate) && candidate !== "/") candidate = join(candidate, "..");
  return candidate === "/" ? tmpdir() : candidate;
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return otherwise;
  }
}

function feature(
  name: string,
  ok: boolean,
  required: boolean,
  detail: string,
  fix: string,
): HostFeature {
  return ok ? { name, ok, required, detail } : { name, ok, required, detail, fix };
}
