import { readFileSync, readlinkSync } from "node:fs";
import type { NamespacePlan, NamespacePlans } from "../plan/start-plan.ts";
import type { OciConfig } from "./oci-config.ts";
import { toRange } from "./oci-mounts.ts";

type Kind = NonNullable<OciConfig["linux"]["namespaces"]>[number]["type"];

/** `linux.namespaces`: what is not named there is the host's. Throws where they cannot be had. */
export function planNamespaces({ linux }: OciConfig): NamespacePlans {
  const asked = new Map<Kind, string | undefined>();
  for (const { type, path } of linux.namespaces ?? []) {
    if (asked.has(type)) {
      throw new Error(
        `cannot use linux.namespaces because ${type} is named twice: once is expected`,
      );
    }
    asked.set(type, path == null || path === "" ? undefined : checkedPath(type, path));
  }
  if (!asked.has("mount") || asked.get("mount") !== undefined) {
    throw new Error(
      "cannot use linux.namespaces because the container has no mount namespace of its own: a new one is expected",
    );
  }
  const plan = (kind: Kind): NamespacePlan => {
    if (!asked.has(kind)) return { kind: "host" };
    const path = asked.get(kind);
    return path === undefined ? { kind: "new" } : { kind: "path", path };
  };
  return {
    pid: plan("pid"),
    network: plan("network"),
    ipc: plan("ipc"),
    uts: plan("uts"),
    cgroup: plan("cgroup"),
    time: planTime(linux, plan("time")),
    user: planUser(linux, plan("user")),
  };
}

/** Host id of the container's root; 0 without a user namespace. */
export function rootId({ user }: NamespacePlans): number {
  if (user.kind === "host") return 0;
  const lines =
    user.kind === "new"
      ? user.uids
      : readFileSync(user.path.replace(/ns\/user$/, "uid_map"), "utf8")
          .trim()
          .split("\n")
          .map((line) => {
            const [inside = 0, outside = 0] = line.trim().split(/\s+/).map(Number);
            return { inside, outside };
          });
  return lines.find(({ inside }) => inside === 0)?.outside ?? 0;
}

/** `linux.timeOffsets`, as timens_offsets of proc(5) takes them. The kernel knows which of them it can show. */
function planTime(
  { timeOffsets }: OciConfig["linux"],
  plan: NamespacePlan,
): NamespacePlans["time"] {
  const lines = Object.entries(timeOffsets ?? {}).flatMap(([clock, offset]) =>
    offset == null ? [] : [`${clock} ${offset.secs ?? 0} ${offset.nanosecs ?? 0}\n`],
  );
  if (lines.length === 0) return plan;
  if (plan.kind !== "new") {
    throw new Error(
      "cannot use linux.timeOffsets because linux.namespaces has no new time namespace: add one",
    );
  }
  return { kind: "new", offsets: lines.join("") };
}

function planUser(linux: OciConfig["linux"], plan: NamespacePlan): NamespacePlans["user"] {
  const uids = (linux.uidMappings ?? []).map(toRange);
  const gids = (linux.gidMappings ?? []).map(toRange);
  if (plan.kind !== "new") {
    if (plan.kind === "host" && uids.length + gids.length > 0) {
      throw new Error(
        "cannot use linux.uidMappings because linux.namespaces has no user namespace: add one",
      );
    }
    return plan;
  }
  if (uids.length === 0 || gids.length === 0) {
    throw new Error(
      "cannot make a user namespace because linux.uidMappings or linux.gidMappings is empty: name the ids",
    );
  }
  return { kind: "new", uids, gids };
}

const fileNames: Readonly<Record<Kind, string>> = {
  pid: "pid",
  network: "net",
  mount: "mnt",
  ipc: "ipc",
  uts: "uts",
  user: "user",
  cgroup: "cgroup",
  time: "time",
};

/** A link of procfs tells of which kind it is; a bind of one elsewhere does not, and setns(2) will. */
function checkedPath(kind: Kind, path: string): string | undefined {
  let target = "";
  try {
    target = readlinkSync(path);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") {
      throw new Error(`cannot enter the ${kind} namespace ${path} because it does not exist`, {
        cause,
      });
    }
  }
  const isOfProc = /^[a-z_]+:\[\d+\]$/.test(target);
  if (isOfProc && !target.startsWith(`${fileNames[kind]}:`)) {
    throw new Error(`cannot enter the ${kind} namespace ${path} because it is ${target}`);
  }
  return path;
}
