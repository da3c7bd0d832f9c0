import type { ContainerSpec } from "../container-spec.ts";
import type { ContainerContext } from "../containers/container-context.ts";
import { pathsOf } from "../containers/container-context.ts";
import { requireImage } from "../containers/create-container.ts";
import { lookUpGroups, lookUpUser, type ProcessUser } from "../containers/user-lookup.ts";
import { seccompFilter } from "../seccomp/seccomp-filter.ts";
import { capabilitySets, containerCapabilities } from "./plan-capabilities.ts";
import { planLabel } from "./plan-label.ts";
import { planRlimits } from "./plan-rlimits.ts";
import { resolveProcess } from "./process-config.ts";
import type { ProcessPlan } from "./start-plan.ts";

/** Whom a container's processes run as, found when it was started: later its own files may say anything. */
export type RunAs = {
  readonly user: ProcessUser;
  /** Of the spec, beyond those of the user. */
  readonly groups: readonly number[];
};

/** Throws when the image, or the container's own layer, does not know a name. */
export function resolveRunAs(context: ContainerContext, spec: ContainerSpec): RunAs {
  const { user } = resolveProcess(spec, requireImage(context, spec).config);
  const layers = userLayers(context, spec);
  return { user: lookUpUser(user, layers), groups: lookUpGroups(spec.groups ?? [], layers) };
}

/** What the container's first process is and may do; a further one runs as `own.user` where that is given. */
export function planProcess(
  context: ContainerContext,
  spec: ContainerSpec,
  runAs: RunAs,
  own: { readonly user?: string | undefined } = {},
): ProcessPlan {
  const process = resolveProcess(spec, requireImage(context, spec).config);
  const first = runAs.user;
  const user = own.user === undefined ? first : lookUpUser(own.user, userLayers(context, spec));
  const groups = [...user.supplementaryGids, ...runAs.groups];
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
    label: planLabel(spec.security ?? {}),
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

function userLayers(context: ContainerContext, spec: ContainerSpec): readonly string[] {
  return [...requireImage(context, spec).layerDirs, pathsOf(context, spec.id).upper];
}

/** A privileged container has no filter unless it brings one. */
function planSeccomp(spec: ContainerSpec, capabilities: readonly string[]): ProcessPlan["seccomp"] {
  const { seccomp, privileged } = spec.security ?? {};
  if (seccomp === "unconfined" || (seccomp === undefined && privileged === true)) return undefined;
  return { program: seccompFilter(seccomp, capabilities), flags: 0 };
}
