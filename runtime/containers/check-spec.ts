import { existsSync, readFileSync } from "node:fs";
import { limitWrites } from "../cgroups/cgroup-limits.ts";
import type { ContainerSpec, Mount } from "../container-spec.ts";
import type { Image } from "../images/image-store.ts";
import { containerCapabilities, isHeld } from "../plan/plan-capabilities.ts";
import { planDevices } from "../plan/plan-devices.ts";
import { planLabel } from "../plan/plan-label.ts";
import { joinedContainer, namespaceKinds } from "../plan/plan-namespaces.ts";
import { planRlimits } from "../plan/plan-rlimits.ts";
import { planSysctls } from "../plan/plan-sysctls.ts";
import { resolveProcess } from "../plan/process-config.ts";
import { signalNumber } from "../plan/signals.ts";
import { seccompFilter } from "../seccomp/seccomp-filter.ts";
import type { ContainerContext } from "./container-context.ts";
import { cgroupPathOf } from "./container-context.ts";
import { treeRoot } from "./tree-paths.ts";

/** Refuses what this host cannot do, or nobody could, with the field and the reason, before anything is made. */
export function checkSpec(context: ContainerContext, spec: ContainerSpec, image: Image): void {
  if (!/^[0-9a-f]{64}$/.test(spec.id)) {
    throw new Error(`cannot create ${spec.name}: its id "${spec.id}" is not 64 hex digits`);
  }
  for (const mount of spec.mounts) checkMount(context, spec, mount);
  const checks: readonly (readonly [field: string, check: () => unknown])[] = [
    ["stopSignal", () => signalNumber(resolveProcess(spec, image.config).stopSignal)],
    [
      "resources",
      () => limitWrites(context.cgroups, cgroupPathOf(context, spec.id), spec.resources),
    ],
    ["security", () => checkSecurity(spec)],
    ["namespaces", () => checkNamespaces(context, spec)],
    ["devices", () => planDevices(spec)],
    ["ulimits", () => planRlimits(spec.ulimits)],
    ["oomScoreAdj", () => checkOomScore(spec.oomScoreAdj)],
  ];
  for (const [field, check] of checks) {
    try {
      check();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`cannot create ${spec.name}: ${field}: ${why}`, { cause });
    }
  }
}

function checkMount(context: ContainerContext, spec: ContainerSpec, mount: Mount): void {
  if (mount.type === "volume" && !context.volumes.has(mount.volume)) {
    throw new Error(
      `cannot create ${spec.name} because volume ${mount.volume} does not exist: make it first`,
    );
  }
  if (mount.type === "tree" && !existsSync(treeRoot(context.libDir, mount.tree))) {
    throw new Error(
      `cannot create ${spec.name} because what it mounts at ${mount.target} is not on this host: put the tree there first`,
    );
  }
  if (mount.type === "bind" && !mount.createHostPath && !existsSync(mount.source)) {
    throw new Error(
      `cannot create ${spec.name} because the bind source ${mount.source} does not exist: create it, or set create_host_path`,
    );
  }
}

function checkSecurity(spec: ContainerSpec): void {
  const { seccomp } = spec.security ?? {};
  const capabilities = containerCapabilities(spec);
  if (seccomp !== undefined && seccomp !== "unconfined") seccompFilter(seccomp, capabilities);
  planLabel(spec.security ?? {});
}

function checkNamespaces(context: ContainerContext, spec: ContainerSpec): void {
  if (joinedContainer(spec) === spec.name) {
    throw new Error("cannot join the namespaces of the container itself: name another one");
  }
  const { network = "private" } = spec.namespaces ?? {};
  if (network !== "private" && spec.networks.length > 0) {
    throw new Error("cannot join networks because the container has no network of its own");
  }
  if (network !== "private" && spec.ports.length > 0) {
    throw new Error(
      "cannot publish ports because the container has no network of its own: its programs listen where they are",
    );
  }
  const isJoined = (choice: unknown) => typeof choice === "object";
  const { pid, ipc } = spec.namespaces ?? {};
  const kinds = namespaceKinds(context, spec);
  planSysctls(
    spec,
    {
      ...kinds,
      network: isJoined(network) ? { kind: "host" } : kinds.network,
      ipc: isJoined(ipc) ? { kind: "host" } : kinds.ipc,
      pid: isJoined(pid) ? { kind: "host" } : kinds.pid,
    },
    { nestedUserNamespaces: true },
  );
}

function checkOomScore(score: number | undefined): void {
  if (score === undefined) return;
  const own = Number(readFileSync("/proc/self/oom_score_adj", "utf8"));
  if (score >= own || isHeld("SYS_RESOURCE")) return;
  throw new Error(
    `cannot lower the OOM score to ${score} because the agent's own is ${own} and it lacks CAP_SYS_RESOURCE: choose one from ${own} on`,
  );
}
