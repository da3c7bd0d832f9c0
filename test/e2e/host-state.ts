/** What the kernel of the test machine holds of an instance. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const cgroupRoot = "/sys/fs/cgroup";

/** Interfaces, mounts, tables and cgroups that carry the instance's name. */
export async function leftovers(instance: string): Promise<string[]> {
  const prefix = instance.slice(0, 6);
  const links = readFileSync("/proc/net/dev", "utf8").match(/^ *[^:]+(?=:)/gm) ?? [];
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return [
    ...links
      .map((link) => link.trim())
      .filter((link) => link.startsWith(`${prefix}-`) || link.startsWith(`v${prefix.slice(0, 5)}-`))
      .map((link) => `interface ${link}`),
    ...mounts.filter((line) => line.includes(instance)).map((line) => `mount ${line}`),
    ...(await tables()).filter((name) => name.includes(instance)).map((name) => `table ${name}`),
    ...cgroupsOf(instance).map((path) => `cgroup ${path}`),
  ];
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
