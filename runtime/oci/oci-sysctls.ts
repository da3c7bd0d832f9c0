import { sysctlPath } from "../plan/plan-sysctls.ts";
import type { NamespacePlans, SysctlPlan } from "../plan/start-plan.ts";

const ofIpc = new Set([
  "kernel/msgmax",
  "kernel/msgmnb",
  "kernel/msgmni",
  "kernel/sem",
  "kernel/shmall",
  "kernel/shmmax",
  "kernel/shmmni",
  "kernel/shm_rmid_forced",
]);

/** `linux.sysctl`: only what belongs to a namespace that is not the host's. Throws naming the one that does not. */
export function planSysctls(
  sysctls: Readonly<Record<string, string>>,
  namespaces: NamespacePlans,
): readonly SysctlPlan[] {
  return Object.entries(sysctls).map(([name, value]) => {
    const path = sysctlPath(name);
    if (path === undefined) {
      throw new Error(
        `cannot set linux.sysctl ${name} because its name is malformed: one such as net.core.somaxconn is expected`,
      );
    }
    const owner = ownerOf(path);
    if (owner === undefined || namespaces[owner].kind === "host") {
      const reason =
        owner === undefined ? "it belongs to no namespace" : `the ${owner} namespace is the host's`;
      throw new Error(`cannot set linux.sysctl ${name} because ${reason}: leave it out`);
    }
    return { path, value, optional: false };
  });
}

function ownerOf(path: string): "ipc" | "network" | "uts" | "user" | undefined {
  if (ofIpc.has(path) || path.startsWith("fs/mqueue/")) return "ipc";
  if (path.startsWith("net/")) return "network";
  // The host name has a field of its own.
  if (path === "kernel/domainname") return "uts";
  if (path.startsWith("user/")) return "user";
  return undefined;
}
