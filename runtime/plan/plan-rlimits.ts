import { readFileSync } from "node:fs";
import type { Ulimit } from "../container-spec.ts";
import { isHeld } from "./plan-capabilities.ts";
import type { RlimitPlan } from "./start-plan.ts";

/** RLIMIT_* of getrlimit(2): the index is the number. */
const resources: readonly string[] = [
  "cpu",
  "fsize",
  "data",
  "stack",
  "core",
  "rss",
  "nproc",
  "nofile",
  "memlock",
  "as",
  "locks",
  "sigpending",
  "msgqueue",
  "nice",
  "rtprio",
  "rttime",
];

/** Lines of /proc/self/limits (proc_pid_limits(5)), in the order of `resources`. */
const lines = [
  "cpu time",
  "file size",
  "data size",
  "stack size",
  "core file size",
  "resident set",
  "processes",
  "open files",
  "locked memory",
  "address space",
  "file locks",
  "pending signals",
  "msgqueue size",
  "nice priority",
  "realtime priority",
  "realtime timeout",
];

const infinity = (1n << 64n) - 1n;

/** Core dumps are off unless asked for. Throws on unknown names, and on limits that this host cannot raise. */
export function planRlimits(ulimits: Readonly<Record<string, Ulimit>> = {}): readonly RlimitPlan[] {
  const wanted = { core: { soft: 0, hard: 0 }, ...ulimits };
  return Object.entries(wanted).map(([name, { soft, hard }]) => {
    const resource = resources.indexOf(name);
    if (resource === -1) {
      throw new Error(
        `cannot limit ${JSON.stringify(name)} because there is no such resource: one of ${resources.join(", ")} is expected`,
      );
    }
    const plan = { resource, soft: toLimit(soft), hard: toLimit(hard) };
    if (plan.soft > plan.hard) {
      throw new Error(
        `cannot limit ${name} because the soft limit ${soft} is above the hard ${hard}`,
      );
    }
    const raises = plan.hard > ownHardLimit(resource);
    if (raises && !isHeld("SYS_RESOURCE")) {
      throw new Error(
        `cannot raise the limit ${name} to ${hard} because the agent's own is ${ownHardLimit(resource)} and it lacks CAP_SYS_RESOURCE: choose a lower one`,
      );
    }
    return { ...plan, raises };
  });
}

function toLimit(value: number): bigint {
  return value === -1 ? infinity : BigInt(value);
}

let ownLimits: readonly bigint[] | undefined;

function ownHardLimit(resource: number): bigint {
  ownLimits ??= readOwnLimits();
  return ownLimits[resource] ?? infinity;
}

function readOwnLimits(): readonly bigint[] {
  const text = readFileSync("/proc/self/limits", "utf8");
  return lines.map((name) => {
    const hard = new RegExp(`^Max ${name}\\s+\\S+\\s+(\\S+)`, "m").exec(text)?.[1];
    return hard === undefined || hard === "unlimited" ? infinity : BigInt(hard);
  });
}
