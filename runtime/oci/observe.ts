import { lstatSync, readFileSync } from "node:fs";
import { type CgroupHost, detectCgroups } from "../cgroups/cgroup-host.ts";
import { readText } from "../cgroups/container-cgroup.ts";
import { cgroupPids } from "./cgroup-path.ts";
import { stateOf, statusOf } from "./container-status.ts";
import type { OciState } from "./hooks.ts";
import { listContainers, type OciRecord, StateDirectory } from "./state-directory.ts";

/** What `state` and `list` print: the state of the specification, and what callers of runtimes look for besides. */
export type ContainerView = OciState & {
  readonly rootfs: string;
  readonly created: string;
  readonly owner: string;
};

export function viewContainer(directory: StateDirectory): ContainerView {
  return viewOf(directory.read(), directory);
}

export function viewAll(root: string): readonly ContainerView[] {
  return listContainers(root).map((record) => viewOf(record, new StateDirectory(root, record.id)));
}

/** Host pids of every process. Throws when there is no such container. */
export function processesOf(directory: StateDirectory): readonly number[] {
  return cgroupPids(directory.read().cgroup).toSorted((a, b) => a - b);
}

/** Figures in the form that `events --stats` has everywhere. */
export function statsOf(directory: StateDirectory): unknown {
  const record = directory.read();
  const host = detectCgroups();
  return {
    type: "stats",
    id: record.id,
    data: {
      cpu: cpuStats(host, record.cgroupPath),
      memory: memoryStats(host, record.cgroupPath),
      pids: {
        current: numberIn(host, "pids", record.cgroupPath, "pids.current"),
        limit: numberIn(host, "pids", record.cgroupPath, "pids.max"),
      },
      blkio: {},
      hugetlb: {},
      intel_rdt: {},
      network_interfaces: null,
    },
  };
}

function viewOf(record: OciRecord, directory: StateDirectory): ContainerView {
  return {
    ...stateOf(record, statusOf(record, directory)),
    rootfs: record.rootfs,
    created: record.created,
    owner: ownerOf(directory.path),
  };
}

function ownerOf(path: string): string {
  const { uid } = lstatSync(path);
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.split(":")[2] === `${uid}`);
  return line?.split(":")[0] ?? `${uid}`;
}

function cpuStats(host: CgroupHost, path: string): unknown {
  const v1 = host.v1.get("cpuacct");
  const text = readText(`${host.unified ?? ""}${path}/cpu.stat`);
  const totalNs =
    v1 === undefined
      ? field(text, "usage_usec") * 1000
      : Number(readText(`${v1}${path}/cpuacct.usage`));
  const throttling = readText(`${host.v1.get("cpu") ?? host.unified ?? ""}${path}/cpu.stat`);
  return {
    usage: { total: totalNs, kernel: 0, user: 0 },
    throttling: {
      periods: field(throttling, "nr_periods"),
      throttledPeriods: field(throttling, "nr_throttled"),
    },
  };
}

function memoryStats(host: CgroupHost, path: string): unknown {
  const isV1 = host.v1.has("memory");
  const at = (v1: string, v2: string) =>
    numberIn(host, "memory", path, isV1 ? `memory.${v1}` : `memory.${v2}`);
  const text = readText(`${host.v1.get("memory") ?? host.unified ?? ""}${path}/memory.stat`);
  const raw = Object.fromEntries(
    text
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split(" "))
      .map(([name = "", value = "0"]) => [name, Number(value)]),
  );
  return {
    usage: {
      usage: at("usage_in_bytes", "current"),
      limit: at("limit_in_bytes", "max"),
      max: at("max_usage_in_bytes", "peak"),
      failcnt: isV1 ? at("failcnt", "current") : 0,
    },
    raw,
  };
}

function numberIn(host: CgroupHost, controller: string, path: string, file: string): number {
  const text = readText(`${host.v1.get(controller) ?? host.unified ?? ""}${path}/${file}`).trim();
  return text === "max" || text === "" ? 0 : Number(text);
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
}
