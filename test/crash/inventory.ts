import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { detectCgroups } from "../../runtime/cgroups/cgroup-host.ts";
import { cgroupDirs, cgroupProcesses } from "../../runtime/cgroups/container-cgroup.ts";
import { linkGroup } from "../../runtime/network/network-names.ts";

const run = promisify(execFile);
const cgroups = detectCgroups();

export type Place = { readonly root: string; readonly instance: string };

/** Everything of an instance in the kernel and on disk, ids replaced by names: equal for two hosts in the same state. */
export async function takeInventory(place: Place) {
  const { root, instance } = place;
  const names = containerNames(place);
  const named = (id: string) => names.get(id) ?? names.get(id.slice(0, 16)) ?? id;
  return {
    cgroups: cgroupsOf(instance).map(named).sort(),
    processes: processesOf(instance, named),
    links: await linksOf(instance),
    elements: await elementsOf(instance),
    mounts: mountsOf(place),
    containers: list(join(root, "lib/containers")).map(named).sort(),
    running: list(join(root, "run/containers")).map(named).sort(),
    unpacking: list(join(root, "run/unpack")),
    volumes: list(join(root, "lib/volumes")),
    ...rowsOf(place, named),
  };
}

/** What the image store has on disk and in its records. */
export function storedImages({ root }: Place) {
  const [images, state] = [join(root, "lib/images"), join(root, "lib/state.db")];
  return {
    blobs: list(join(images, "blobs/sha256")),
    layers: list(join(images, "layers")),
    incoming: list(join(images, "incoming")),
    records: readRows(state, "runtime_image")
      .map(({ digest }) => String(digest))
      .sort(),
  };
}

/** What is left of an instance that was taken down; empty objects and lists only, when all is well. */
export async function leftovers(place: Place) {
  return { ...(await takeInventory(place)), processes: processesOf(place.instance, (id) => id) };
}

/** A container whose first process lives, as the kernel and the inventory know it. */
export type Living = {
  readonly name: string;
  readonly id: string;
  readonly pid: number;
  readonly startTime: string;
  readonly specDigest: string;
};

/** Containers with living processes, straight from the cgroups. */
export function livingContainers(place: Place): Living[] {
  return inventoryRows(place).flatMap(({ id, name, specDigest }) => {
    const [pid] = [...cgroupProcesses(cgroups, `/${place.instance}/${id}`)].sort((a, b) => a - b);
    if (pid === undefined) return [];
    const startTime = startTimeOf(pid);
    return startTime === undefined ? [] : [{ name, id, pid, startTime, specDigest }];
  });
}

export function supervisorsOf(instance: string): readonly number[] {
  return cgroupProcesses(cgroups, `/${instance}/supervisors`);
}

/** Names of containers that the runtime has, or is about to make. */
export function inventoryNames(place: Place): string[] {
  return inventoryRows(place).map(({ name }) => name);
}

function containerNames(place: Place): Map<string, string> {
  return new Map(
    inventoryRows(place).flatMap(({ id, name }) => [
      [id, name],
      [id.slice(0, 16), name],
    ]),
  );
}

function inventoryRows(place: Place) {
  return readRows(join(place.root, "run/live.db"), "runtime_containers").map((row) => {
    // Written by the runtime: a spec with the agent's labels.
    const { spec } = JSON.parse(String(row.entry)) as {
      spec: { id: string; name: string; labels: Record<string, string> };
    };
    const { id, name, labels } = spec;
    return { id, name, specDigest: labels["io.berth.spec-digest"] ?? "" };
  });
}

function cgroupsOf(instance: string): string[] {
  const { v1, unified } = cgroupDirs(cgroups, `/${instance}`);
  const trees = unified === undefined ? v1 : [...v1, unified];
  return trees.flatMap((tree) =>
    list(tree).filter((name) => existsSync(join(tree, name, "cgroup.procs"))),
  );
}

function processesOf(instance: string, named: (id: string) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const pid of list("/proc").filter((name) => /^\d+$/.test(name))) {
    const path = /^\d+:pids:(.*)$/m.exec(readText(`/proc/${pid}/cgroup`))?.[1] ?? "";
    if (!path.startsWith(`/${instance}/`)) continue;
    const key = `${named(path.slice(instance.length + 2))} ${commandName(Number(pid))}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

async function linksOf(instance: string): Promise<string[]> {
  const { stdout } = await run("ip", [
    "-j",
    "-d",
    "link",
    "show",
    "group",
    `${linkGroup(instance)}`,
  ]);
  const links = JSON.parse(stdout) as {
    master?: string;
    /** Absent in the empty objects that stand for links of other groups. */
    flags?: string[];
    linkinfo?: { info_kind?: string };
  }[];
  return links
    .flatMap(({ master, flags, linkinfo }) => {
      if (flags === undefined) return [];
      const up = flags.includes("UP") ? "up" : "down";
      return `${linkinfo?.info_kind} ${up}${master === undefined ? "" : " attached"}`;
    })
    .sort();
}

/** Table, and number of elements of each set. */
async function elementsOf(instance: string): Promise<Record<string, number>> {
  const { stdout } = await run("nft", ["-j", "list", "ruleset"]);
  const { nftables } = JSON.parse(stdout) as {
    nftables: Record<string, { family: string; name: string; table?: string; elem?: unknown[] }>[];
  };
  const counts: Record<string, number> = {};
  for (const object of nftables) {
    const set = object.set ?? object.map;
    if (set?.table === instance) counts[`${set.family} ${set.name}`] = set.elem?.length ?? 0;
    if (object.table?.name === instance) counts[`${object.table.family} table`] = 1;
  }
  return counts;
}

function mountsOf({ root, instance }: Place): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(root) || line.includes(`/${instance}/`));
}

/** Rows of both databases that stand for something on the host. */
function rowsOf({ root }: Place, named: (id: string) => string) {
  const [state, live] = [join(root, "lib/state.db"), join(root, "run/live.db")];
  const column = (path: string, table: string, key: string) =>
    readRows(path, table)
      .map((row) => named(String(row[key])))
      .sort();
  return {
    idLeases: column(state, "runtime_id_leases", "container"),
    addressLeases: column(state, "runtime_network_lease", "container_id"),
    networks: column(state, "runtime_network", "name"),
    volumeRows: column(state, "runtime_volumes", "name"),
    byHand: column(state, "agent_by_hand", "name"),
    inventory: column(live, "runtime_containers", "name"),
    ports: column(live, "runtime_network_port", "container_id"),
    reasons: column(live, "agent_reasons", "container_id"),
    restarts: column(live, "agent_restarts", "container_id"),
    lost: column(live, "agent_lost", "container_id"),
    unhealthy: column(live, "agent_unhealthy", "container_id"),
    intents: column(live, "agent_intents", "step"),
  };
}

function readRows(path: string, table: string): Record<string, unknown>[] {
  if (!existsSync(path)) return [];
  const database = new DatabaseSync(path, { readOnly: true, timeout: 1000 });
  try {
    const exists = database
      .prepare("select 1 from sqlite_schema where type = 'table' and name = ?")
      .get(table);
    return exists === undefined ? [] : database.prepare(`select * from ${table}`).all();
  } finally {
    database.close();
  }
}

function startTimeOf(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

export function commandName(pid: number): string {
  return readText(`/proc/${pid}/comm`).trim();
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
