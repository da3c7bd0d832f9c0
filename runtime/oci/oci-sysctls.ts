import type { NamespacePlans, SysctlPlan } from "../plan/start-plan.ts";

const ofIpc = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/** `linux.sysctl`: only what belongs to a namespace that is not the host's. Throws naming the one that does not. */
export function planSysctls(
  sysctls: Readonly<Record<string, string>>,
  namespaces: NamespacePlans,
): readonly SysctlPlan[] {
  return Object.entries(sysctls).map(([name, value]) => {
    const dotted = name.includes("/") && !name.includes(".") ? name.replaceAll("/", ".") : name;
    const owner = ownerOf(dotted);
    if (owner === undefined || namespaces[owner].kind === "host") {
      const reason =
        owner === undefined ? "it belongs to no namespace" : `the ${owner} namespace is the host's`;
      throw new Error(`cannot set linux.sysctl ${name} because ${reason}: leave it out`);
    }
    return { path: toPath(dotted), value, optional: false };
  });
}

function ownerOf(name: string): "ipc" | "network" | "uts" | "user" | undefined {
  if (ofIpc.has(name) || name.startsWith("fs.mqueue.")) return "ipc";
  if (name.startsWith("net.")) return "network";
  // The host name has a field of its own.
  if (name === "kernel.domainname") return "uts";
  if (name.startsWith("user.")) return "user";
  return undefined;
}

/** As in sysctl(8), a slash in the name of an interface stands for its dot. */
function toPath(name: string): string {
  return name.replace(/[./]/g, (letter) => (letter === "." ? "/" : "."));
}
