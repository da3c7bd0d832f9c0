import { readFileSync } from "node:fs";
import { capabilityBits } from "../plan/capabilities.ts";
import { hasSelinux, planLabel } from "../plan/plan-label.ts";
import type { CapabilitySets, LabelPlan, ProcessPlan, RlimitPlan } from "../plan/start-plan.ts";
import type { OciConfig, OciProcess } from "./oci-config.ts";
import { planPlacement } from "./oci-placement.ts";
import { planSchedule } from "./oci-schedule.ts";
import { compileFilter } from "./oci-seccomp.ts";

/** `process` of a configuration, with what goes with every process of its container: filter and personality. */
export function planProcess(
  process: OciProcess,
  linux: OciConfig["linux"],
  { ownUserNamespace }: { readonly ownUserNamespace: boolean },
): ProcessPlan {
  const { user } = process;
  const { seccomp, personality } = linux;
  return {
    argv: process.args,
    environment: withHome(process.env ?? [], user.uid),
    workingDir: process.cwd,
    user: {
      uid: user.uid,
      gid: user.gid,
      supplementaryGids: user.additionalGids ?? [],
    },
    capabilities: capabilitySets(
      process.capabilities ?? {},
      ownUserNamespace ? everyCapability : ownBoundingSet(),
    ),
    seccomp: seccomp == null ? undefined : compileFilter(seccomp),
    ...planSchedule(process, personality),
    ...planPlacement(process, linux),
    noNewPrivileges: process.noNewPrivileges === true,
    label: planOciLabel(process),
    umask: user.umask ?? 0o022,
    rlimits: withCallersFiles((process.rlimits ?? []).map(planRlimit)),
    oomScoreAdj: process.oomScoreAdj ?? undefined,
    terminal:
      process.terminal === true
        ? { rows: process.consoleSize?.height ?? 0, columns: process.consoleSize?.width ?? 0 }
        : undefined,
  };
}

/** RLIMIT_* of getrlimit(2), as `asm-generic/resource.h` numbers them. */
const resourceNumbers: ReadonlyMap<string, number> = new Map(
  [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
  ].map((name, number) => [`RLIMIT_${name}`, number]),
);

function planRlimit({ type, soft, hard }: NonNullable<OciProcess["rlimits"]>[number]): RlimitPlan {
  const resource = resourceNumbers.get(type);
  if (resource === undefined) {
    throw new Error(
      `cannot set process.rlimits ${type} because there is no such limit: a name of getrlimit(2) such as RLIMIT_NOFILE is expected`,
    );
  }
  if (soft > hard) {
    throw new Error(`cannot set process.rlimits ${type} because soft is above hard`);
  }
  return { resource, soft, hard, raises: false };
}

/** Node raises its own limit of open files as it starts; the container gets the one that the caller has. */
function withCallersFiles(rlimits: readonly RlimitPlan[]): readonly RlimitPlan[] {
  const resource = resourceNumbers.get("RLIMIT_NOFILE") ?? 0;
  const soft = process.env.BERTH_OCI_FILES_SOFT ?? "";
  if (!/^\d+$/.test(soft) || rlimits.some((limit) => limit.resource === resource)) return rlimits;
  const hard = /^Max open files +\d+ +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  if (hard === undefined) return rlimits;
  return [...rlimits, { resource, soft: BigInt(soft), hard: BigInt(hard), raises: false }];
}

/** What cannot be granted is passed over, as the specification wants it: what the kernel or this process lacks. */
function capabilitySets(
  capabilities: NonNullable<OciProcess["capabilities"]>,
  available: bigint,
): CapabilitySets {
  const inheritable = mask(capabilities.inheritable) & available;
  const permitted = mask(capabilities.permitted) & available;
  return {
    bounding: mask(capabilities.bounding) & available,
    permitted,
    effective: mask(capabilities.effective) & permitted,
    inheritable,
    // capabilities(7): ambient ones have to be permitted and inheritable.
    ambient: mask(capabilities.ambient) & permitted & inheritable,
  };
}

/** Root of a new user namespace has all of them there. */
const everyCapability = (1n << 64n) - 1n;

function ownBoundingSet(): bigint {
  const text = readFileSync("/proc/self/status", "utf8");
  return BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(text)?.[1] ?? "0"}`);
}

function mask(names: readonly string[] | null | undefined): bigint {
  return (names ?? []).reduce((bits, name) => {
    const bit = capabilityBits.get(name.toUpperCase().replace(/^CAP_/, ""));
    return bit === undefined ? bits : bits | (1n << BigInt(bit));
  }, 0n);
}

/** Programs want to know their home; root's is known without the image. */
function withHome(environment: readonly string[], uid: number): readonly string[] {
  if (environment.some((entry) => entry.startsWith("HOME="))) return environment;
  return [...environment, uid === 0 ? "HOME=/root" : "HOME=/"];
}

/** A whole context of SELinux is what the caller has made of its own policy. */
function planOciLabel({ apparmorProfile, selinuxLabel }: OciProcess): LabelPlan | undefined {
  if (selinuxLabel != null && selinuxLabel !== "") {
    if (hasSelinux()) return { module: "selinux", text: selinuxLabel };
    throw new Error(
      `cannot confine the process by process.selinuxLabel ${selinuxLabel} because this host has no SELinux: leave it out`,
    );
  }
  if (apparmorProfile == null || apparmorProfile === "") return undefined;
  return planLabel({ apparmor: apparmorProfile });
}
