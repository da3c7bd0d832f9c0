import type { Service, UpdatePolicy } from "../../manifests/desired-state.ts";
import type { WantedApp } from "./wanted-state.ts";

/**
 * Pure. How containers of a service take the place of others: by `deploy.rollback_config` while its app goes back to this
 * definition, where that is written, else by `deploy.update_config`. Undefined: neither is written.
 */
export function updatePolicyOf(
  { isGoingBack = false }: Pick<WantedApp, "isGoingBack">,
  { deploy }: Service,
): UpdatePolicy | undefined {
  return (isGoingBack ? deploy?.rollback : undefined) ?? deploy?.update;
}
