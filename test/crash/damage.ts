import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { detectCgroups } from "../../runtime/cgroups/cgroup-host.ts";
import { cgroupDirs } from "../../runtime/cgroups/container-cgroup.ts";
import { linkGroup } from "../../runtime/network/network-names.ts";
import { livingContainers, type Place, takeInventory } from "./inventory.ts";

const run = promisify(execFile);
const cgroups = detectCgroups();

/** All that `damage` changes, and that a repair puts back. */
export async function repairable(place: Place) {
  const files = filesOf(place).map(([path]) => readFileSync(path, "utf8"));
  return { files, rules: await rulesOf(place), ...(await takeInventory(place)) };
}

/**
 * Changes by hand all that an agent puts back while its containers run: one of the tables is deleted, the maps of the other
 * are emptied, a bridge is deleted, another one's port is detached, a limit is changed and a line is written into hosts.
 */
export async function damage(place: Place): Promise<void> {
  for (const [path, text] of filesOf(place)) writeFileSync(path, text);
  const { tables, maps } = await rulesetOf(place);
  for (const [family, map] of maps) {
    if (family !== "bridge") await run("nft", ["flush", "map", family, place.instance, map]);
  }
  if (!tables.includes("bridge")) throw new Error("there is no table of the bridge family");
  await run("nft", ["delete", "table", "bridge", place.instance]);
  const links = await linksOf(place);
  const [small, large] = links
    .filter(({ master }) => master === undefined)
    .map(({ ifname }) => ({ ifname, ports: links.filter(({ master }) => master === ifname) }))
    .sort((a, b) => a.ports.length - b.ports.length);
  const [port] = large?.ports ?? [];
  if (small === undefined || port === undefined) throw new Error("there are no two bridges");
  await run("ip", ["link", "delete", small.ifname]);
  await run("ip", ["link", "set", port.ifname, "nomaster"]);
}

/** Files of one container that an agent writes, each with another content. */
function filesOf(place: Place): readonly (readonly [path: string, text: string])[] {
  const [container] = livingContainers(place);
  if (container === undefined) throw new Error("no container runs");
  const { id } = container;
  const { v1, unified } = cgroupDirs(cgroups, `/${place.instance}/${id}`);
  const limit = [...v1, ...(unified === undefined ? [] : [unified])]
    .map((dir) => join(dir, "pids.max"))
    .find((path) => readable(path));
  if (limit === undefined) throw new Error("there is no limit of processes");
  return [
    [limit, "77\n"],
    [join(place.root, "lib/containers", id, "etc/hosts"), "192.0.2.7 elsewhere\n"],
  ];
}

function readable(path: string): boolean {
  try {
    return readFileSync(path).length > 0;
  } catch {
    return false;
  }
}

/** Of our tables: every rule and element, without what the kernel counts and numbers. */
async function rulesOf({ instance }: Place): Promise<string> {
  const { stdout } = await run("nft", ["--stateless", "list", "ruleset"]);
  return stdout
    .split(/^(?=table )/m)
    .filter((table) => table.split(" ")[2] === instance)
    .sort()
    .join("");
}

async function rulesetOf({ instance }: Place) {
  const { stdout } = await run("nft", ["--json", "list", "ruleset"]);
  type Listed = { readonly family: string; readonly name: string; readonly table?: string };
  const { nftables } = JSON.parse(stdout) as {
    readonly nftables: readonly { readonly table?: Listed; readonly map?: Listed }[];
  };
  return {
    tables: nftables.flatMap(({ table }) => (table?.name === instance ? [table.family] : [])),
    maps: nftables.flatMap(({ map }) =>
      map?.table === instance ? [[map.family, map.name] as const] : [],
    ),
  };
}

async function linksOf({ instance }: Place) {
  const group = `${linkGroup(instance)}`;
  const { stdout } = await run("ip", ["--json", "link", "show", "group", group]);
  const links = JSON.parse(stdout) as { readonly ifname?: string; readonly master?: string }[];
  // Empty objects stand for links of other groups.
  return links.flatMap(({ ifname, master }) => (ifname === undefined ? [] : [{ ifname, master }]));
}
