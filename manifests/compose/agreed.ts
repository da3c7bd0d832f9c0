import type { Conflict } from "./build-options.ts";
import type { ServiceModel } from "./service-model.ts";

type Twin = "scale" | "cpus" | "mem_limit" | "mem_reservation" | "pids_limit";

/** Compose has two places for these; both may be written when they say the same. */
export function agreed(model: ServiceModel, field: Twin, conflict: Conflict): number | undefined {
  const limits = model.deploy?.resources?.limits;
  const [place, other] = {
    scale: ["deploy.replicas", model.deploy?.replicas] as const,
    cpus: ["deploy.resources.limits.cpus", limits?.cpus] as const,
    mem_limit: ["deploy.resources.limits.memory", limits?.memory] as const,
    mem_reservation: [
      "deploy.resources.reservations.memory",
      model.deploy?.resources?.reservations?.memory,
    ] as const,
    pids_limit: ["deploy.resources.limits.pids", limits?.pids] as const,
  }[field];
  const own = model[field];
  if (own !== undefined && other !== undefined && own !== other)
    conflict(field, `${own} differs from ${other} in ${place}: keep one of them`);
  return own ?? other;
}
