import type { NamespacePlans } from "../plan/start-plan.ts";
import { seccompFilter } from "../seccomp/seccomp-filter.ts";
import type { DialSpec } from "./dial-spec.ts";
import { joinFlags } from "./namespaces-program.ts";
import { Program } from "./program.ts";

/**
 * Compiles a process that connects to a port: in the container's network, process, mount and user namespaces, as
 * nobody, without capabilities and under the default filter. It runs no program, so nothing of the container's is
 * executed, and it is in none of its cgroups, so a container at its limits is reached too.
 */
export function compileDial(dial: DialSpec, namespaces: NamespacePlans): Buffer {
  return new Program()
    .join(joinFlags({ ...namespaces, ...ofNoUse }), null)
    .passFds()
    .initBegin()
    .takeFds()
    .session()
    .noNewPrivs()
    .ids(nobody, nobody, [])
    .capabilities({ bounding: 0n, permitted: 0n, effective: 0n, inheritable: 0n, ambient: 0n })
    .seccomp(0, seccompFilter(undefined, []))
    .dial(dial)
    .finish();
}

const nobody = 65_534;
const ofNoUse = {
  ipc: { kind: "host" },
  uts: { kind: "host" },
  cgroup: { kind: "host" },
  time: { kind: "host" },
} as const;
