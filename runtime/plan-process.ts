import type { ContainerContext } from "./container-context.ts";
import { pathsOf } from "./container-context.ts";
import type { ContainerSpec } from "./container-spec.ts";
import { requireImage } from "./create-container.ts";
import { capabilitySets, containerCapabilities } from "./plan-capabilities.ts";
import { planRlimits } from "./plan-rlimits.ts";
import { resolveProcess } from "./process-config.ts";
import { seccompFilter } from "./seccomp/seccomp-filter.ts";
import type { ProcessPlan } from "./start-plan.ts";
import { lookUpGroups, lookUpUser } from "./user-lookup.ts";

/** What the container's first process is and may do; a further one runs as `own.user` where that is given. */
export function planProcess(
  context: ContainerContext,
  spec: ContainerSpec,
  own: { readonly user?: string | undefined } = {},
): ProcessPlan {
  const image = requireImage(context, spec);
  const process = resolveProcess(spec, image.config);
  const layers = [...image.layerDirs, pathsOf(context, spec.id).upper];
  const first = lookUpUser(process.user, layers);
  const user = own.user === undefined ? first : lookUpUser(own.user, layers);
  const groups = [...user.supplementaryGids, ...lookUpGroups(spec.groups ?? [], layers)];
  const capabilities = containerCapabilities(spec);
  const hasHome = process.environment.some((entry) => entry.startsWith("HOME="));
  return {
    argv: process.argv,
    environment: [
      ...process.environment,
      ...(hasHome ? [] : [`HOME=${user.home}`]),
      `HOSTNAME=${hostnameOf(spec)}`,
    ],
    workingDir: process.workingDir,
    user: { uid: user.uid, gid: user.gid, supplementaryGids: [...new Set(groups)] },
    capabilities: capabilitySets(capabilities, user.uid),
    seccomp: planSeccomp(spec, capabilities),
    noNewPrivileges: spec.security?.noNewPrivileges ?? first.uid !== 0,
    umask: 0o022,
    rlimits: planRlimits(spec.ulimits),
    oomScoreAdj: spec.oomScoreAdj,
    terminal: spec.tty ? { rows: 24, columns: 80 } : undefined,
  };
}

/** Docker's default hostname: the short id. */
export function hostnameOf(spec: ContainerSpec): string {
  return spec.hostname ?? spec.id.slice(0, 12);
}

/** A privileged container has no filter unless it brings one. */
function planSeccomp(spec: ContainerSpec, capabilities: readonly string[]): ProcessPlan["seccomp"] {
  const { seccomp, privileged } = spec.security ?? {};
  if (seccomp === "unconfined" || (seccomp === undefined && privileged === true)) return undefined;
  return { program: seccompFilter(seccomp, capabilities), flags: 0 };
}
