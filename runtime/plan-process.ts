import { capabilityMask, defaultCapabilities } from "./capabilities.ts";
import type { ContainerContext } from "./container-context.ts";
import { pathsOf } from "./container-context.ts";
import type { ContainerSpec } from "./container-spec.ts";
import { requireImage } from "./create-container.ts";
import { resolveProcess } from "./process-config.ts";
import { seccompFilter } from "./seccomp/seccomp-filter.ts";
import type { CapabilitySets, ProcessPlan } from "./start-plan.ts";
import { lookUpUser } from "./user-lookup.ts";

/** What the container's first process is and may do; a further one runs as `own.user` where that is given. */
export function planProcess(
  context: ContainerContext,
  spec: ContainerSpec,
  own: { readonly user?: string | undefined } = {},
): ProcessPlan {
  const image = requireImage(context, spec);
  const process = resolveProcess(spec, image.config);
  const user = lookUpUser(own.user ?? process.user, [
    ...image.layerDirs,
    pathsOf(context, spec.id).upper,
  ]);
  const hasHome = process.environment.some((entry) => entry.startsWith("HOME="));
  return {
    argv: process.argv,
    environment: [
      ...process.environment,
      ...(hasHome ? [] : [`HOME=${user.home}`]),
      `HOSTNAME=${hostnameOf(spec)}`,
    ],
    workingDir: process.workingDir,
    user,
    capabilities: planCapabilities(user.uid),
    seccomp: { program: seccompFilter(), flags: 0 },
    noNewPrivileges: false,
    umask: 0o022,
    rlimits: [{ resource: resourceLimitCore, soft: 0n, hard: 0n, raises: false }],
    oomScoreAdj: undefined,
    terminal: spec.tty ? { rows: 24, columns: 80 } : undefined,
  };
}

/** Docker's default hostname: the short id. */
export function hostnameOf(spec: ContainerSpec): string {
  return spec.hostname ?? spec.id.slice(0, 12);
}

/** Only root holds what is in the bounding set; nobody inherits. */
function planCapabilities(uid: number): CapabilitySets {
  const bounding = capabilityMask(defaultCapabilities);
  const held = uid === 0 ? bounding : 0n;
  return { bounding, permitted: held, effective: held, inheritable: 0n, ambient: 0n };
}

const resourceLimitCore = 4;
