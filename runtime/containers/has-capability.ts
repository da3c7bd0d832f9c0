import type { ContainerSpec } from "../container-spec.ts";

/** Whether a container was given a capability (capabilities(7), without `CAP_`) beyond the default ones. */
export function hasCapability({ security }: ContainerSpec, capability: string): boolean {
  const added = security?.capabilitiesAdded ?? [];
  return security?.privileged === true || added.includes(capability) || added.includes("ALL");
}
