import { readdirSync } from "node:fs";
import { type CgroupHost, controllerDir, detectCgroups } from "../cgroups/cgroup-host.ts";
import { oomKills, readText } from "../cgroups/container-cgroup.ts";
import type { StateDirectory } from "./state-directory.ts";

/** A cgroup of a host: figures that a controller does not give are 0 or absent, as callers expect. */
type Place = { readonly host: CgroupHost; readonly path: string };

/** Figures in the form that `events --stats` has everywhere (types/events.go of runc). Bytes and nanoseconds. */
export function statsOf(directory: StateDirectory): unknown {
  const record = directory.read();
  const place = { host: detectCgroups(), path: record.cgroupPath };
  return {
    type: "stats",
    id: record.id,
    data: {
      cpu: cpuStats(place),
      memory: memoryStats(place),
      pids: {
        current: numberIn(place, "pids", "pids.current"),
        limit: numberIn(place, "pids", "pids.max"),
      },
      blkio: blockStats(place),
      hugetlb: hugepageStats(place),
      intel_rdt: {},
      network_interfaces: null,
    },
  };
}

/** How often the kernel has killed a process of the container for lack of memory; 0 when the container is gone. */
export function oomCounter(directory: StateDirectory): () => number {
  const { cgroupPath } = directory.read();
  const host = detectCgroups();
  return () => oomKills(host, cgroupPath);
}

/** USER_HZ of the kernel's interfaces. */
const nsOfTick = 10_000_000;

function cpuStats(place: Place): unknown {
  const throttling = textOf(place, "cpu", "cpu.stat");
  const isV1 = place.host.v1.has("cpuacct");
  const ticks = isV1 ? textOf(place, "cpuacct", "cpuacct.stat") : "";
  const unified = isV1 ? "" : readText(`${place.host.unified ?? ""}${place.path}/cpu.stat`);
  return {
    usage: isV1
      ? {
          total: numberIn(place, "cpuacct", "cpuacct.usage"),
          kernel: field(ticks, "system") * nsOfTick,
          user: field(ticks, "user") * nsOfTick,
        }
      : {
          total: field(unified, "usage_usec") * 1000,
          kernel: field(unified, "system_usec") * 1000,
          user: field(unified, "user_usec") * 1000,
        },
    throttling: {
      periods: field(throttling, "nr_periods"),
      throttledPeriods: field(throttling, "nr_throttled"),
      throttledTime: isV1
        ? field(throttling, "throttled_time")
        : field(throttling, "throttled_usec") * 1000,
    },
  };
}

function memoryStats(place: Place): unknown {
  const text = textOf(place, "memory", "memory.stat");
  const at = (file: string) => numberIn(place, "memory", `memory.${file}`);
  const raw = Object.fromEntries(
    linesOf(text).map(([name = "", value = "0"]) => [name, Number(value)]),
  );
  if (!place.host.v1.has("memory")) {
    const usage = { usage: at("current"), limit: at("max"), max: at("peak"), failcnt: 0 };
    const swap = { usage: at("swap.current"), limit: at("swap.max"), max: 0, failcnt: 0 };
    return { cache: field(text, "file"), usage, swap, raw };
  }
  const figures = (prefix: string) => ({
    usage: at(`${prefix}usage_in_bytes`),
    limit: at(`${prefix}limit_in_bytes`),
    max: at(`${prefix}max_usage_in_bytes`),
    failcnt: at(`${prefix}failcnt`),
  });
  return { cache: field(text, "cache"), usage: figures(""), swap: figures("memsw."), raw };
}

/** Bytes and operations of each device, as v1 counts them; v2 has both in one file. */
function blockStats(place: Place): unknown {
  const isV1 = place.host.v1.has("blkio");
  const entries = (file: string): readonly BlockEntry[] =>
    linesOf(textOf(place, "blkio", file)).flatMap(([device = "", op = "", value]) =>
      value === undefined ? [] : [entryOf(device, op, value)],
    );
  if (isV1) {
    return {
      ioServiceBytesRecursive: entries("blkio.throttle.io_service_bytes"),
      ioServicedRecursive: entries("blkio.throttle.io_serviced"),
    };
  }
  const lines = linesOf(textOf(place, "blkio", "io.stat"));
  const figures = (read: string, write: string): readonly BlockEntry[] =>
    lines.flatMap(([device = "", ...words]) =>
      words
        .map((word) => word.split("="))
        .filter(([name]) => name === read || name === write)
        .map(([name, value = "0"]) => entryOf(device, name === read ? "Read" : "Write", value)),
    );
  return {
    ioServiceBytesRecursive: figures("rbytes", "wbytes"),
    ioServicedRecursive: figures("rios", "wios"),
  };
}

type BlockEntry = {
  readonly major: number;
  readonly minor: number;
  readonly op: string;
  readonly value: number;
};

function entryOf(device: string, op: string, value: string): BlockEntry {
  const [major = 0, minor = 0] = device.split(":").map(Number);
  return { major, minor, op, value: Number(value) };
}

/** By page size, as `2MB`. */
function hugepageStats(place: Place): unknown {
  const dir = controllerDir(place.host, "hugetlb", place.path);
  const isV1 = place.host.v1.has("hugetlb");
  const at = (file: string) => numberIn(place, "hugetlb", file);
  return Object.fromEntries(
    pageSizes(dir).map((size) => [
      size,
      {
        usage: at(`hugetlb.${size}.${isV1 ? "usage_in_bytes" : "current"}`),
        max: isV1 ? at(`hugetlb.${size}.max_usage_in_bytes`) : 0,
        failcnt: isV1
          ? at(`hugetlb.${size}.failcnt`)
          : field(textOf(place, "hugetlb", `hugetlb.${size}.events`), "max"),
      },
    ]),
  );
}

function pageSizes(dir: string | undefined): readonly string[] {
  if (dir === undefined) return [];
  try {
    const names = readdirSync(dir).map((name) => /^hugetlb\.(\d+[KMG]B)\./.exec(name)?.[1]);
    return [...new Set(names.filter((name) => name !== undefined))];
  } catch {
    return [];
  }
}

function textOf({ host, path }: Place, controller: string, file: string): string {
  const dir = controllerDir(host, controller, path);
  return dir === undefined ? "" : readText(`${dir}/${file}`);
}

function linesOf(text: string): readonly (readonly string[])[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => line.split(" "));
}

/** No limit is 0 here: JSON has no number for it. */
function numberIn(place: Place, controller: string, file: string): number {
  const text = textOf(place, controller, file).trim();
  return text === "max" || text === "" ? 0 : Number(text);
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
}
