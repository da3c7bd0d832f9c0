/** What the kernel of the test machine holds of an instance. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { linkGroup } from "../../runtime/network/network-names.ts";

const run = promisify(execFile);
const cgroupRoot = "/sys/fs/cgroup";

/** Interfaces, mounts, tables and cgroups that carry the instance's name. */
export async function leftovers(instance: string): Promise<string[]> {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return [
    ...(await links(instance)).map((name) => `interface ${name}`),
    ...mounts.filter((line) => line.includes(instance)).map((line) => `mount ${line}`),
    ...(await tables()).filter((name) => name.includes(instance)).map((name) => `table ${name}`),
    ...cgroupsOf(instance).map((path) => `cgroup ${path}`),
  ];
}

/** By their group: names hold no more than the beginning of the instance's, which others share. */
async function links(instance: string): Promise<string[]> {
  const { stdout } = await run("ip", ["-o", "link", "show", "group", `${linkGroup(instance)}`]);
  return [...stdout.matchAll(/^\d+: ([^:@]+)/gm)].map(([, name = ""]) => name);
}

/** The nft tables of this network namespace, `family name`. */
export async function tables(): Promise<string[]> {
  const { stdout } = await run("nft", ["list", "tables"]);
  return stdout
    .split("\n")
    .map((line) => line.replace(/^table /, "").trim())
    .filter((name) => name !== "");
}

export function nft(...args: readonly string[]): Promise<string> {
  return run("nft", [...args]).then(({ stdout }) => stdout);
}

function cgroupsOf(instance: string): string[] {
  const parents = [
    cgroupRoot,
    ...readdirSync(cgroupRoot, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(cgroupRoot, name)),
  ];
  return parents.map((parent) => join(parent, instance)).filter((path) => existsSync(path));
}
